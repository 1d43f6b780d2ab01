"""The media process: every leg's voice, 160 samples each 20 ms.

`protocol` is the contract with the control process, `client` its end there; `process` runs the
engine. Everything else is signal processing and the thin shells around it.
"""

import os

# numpy reads this when it is first imported. The matrices of a tick are small: more BLAS threads
# would only spin on the cores that the other processes need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
