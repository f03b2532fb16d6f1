"""Who computes in the background: one thread at a time.

Python runs one thread at a time anyway. Each further one that wants to run makes whoever serves /metrics wait longer
for Python's lock, again at every event, and none of them ends sooner for it.
"""

import threading

# To be held while computing, not while waiting for a vendor, a disk or whoever reads the log: that would hold up all.
COMPUTING = threading.Lock()
