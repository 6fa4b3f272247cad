"""L2, a process: health checks and the dataplane they drive. verdict, plan (core); probe (native); child (shell)."""
