"""The SIP door: phones and trunks. The switch uses `endpoint.Endpoint`, the values of `events`,
and `sdp`; everything else is the pure core beneath."""
