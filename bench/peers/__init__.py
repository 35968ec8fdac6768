"""Other queues, driven the same way as Tenure: a durable queue of commands, two at a time. One that is not installed is left out."""
