"""What the engine can hear besides keys and call progress tones: detectors of pure numpy.

Each keeps the state of many legs as arrays, a leg is a slot number, and is fed once a tick with the
frames of the legs that asked for it. `hearing` puts them together for the engine.
"""
