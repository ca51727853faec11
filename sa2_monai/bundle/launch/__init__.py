# SPDX-License-Identifier: Apache-2.0
"""Long jobs side by side: one process per device at a time, divided among the machines that share a folder.

======= =============================================================================================
job     ``Job``: a command, what tells that it is done, the jobs that have to be done before
run     ``run_jobs``: starts them, waits for them, stops them with this process
process one program, which ends with this one
devices the device of a program, by its environment
======= =============================================================================================
"""

from sa2_monai.bundle.launch.job import Job, JobError
from sa2_monai.bundle.launch.process import signals_raise
from sa2_monai.bundle.launch.run import hold, run_jobs

__all__ = ["Job", "JobError", "hold", "run_jobs", "signals_raise"]
