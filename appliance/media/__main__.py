"""`python -m appliance.media SOCKET [DATA]`: one media process."""

import sys
from pathlib import Path

from appliance.media.process import main

main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
