"""Browser agents: one WebRTC peer each, inside the media process."""
