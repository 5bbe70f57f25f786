"""Looking without touching: the engine on a dry run, what it would do, and where an object stands on its way."""
