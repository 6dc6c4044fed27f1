"""Work in the background: a durable queue in the index, the engine that runs it, and one module a kind of job."""
