"""The local executor: tasks as processes of this machine, through the supervisor."""
