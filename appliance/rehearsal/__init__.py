"""A day of the office before it opens: simulated callers and agents around the very switch, queues
and menus that will serve the real ones, with a clock that runs as fast as the processor."""
