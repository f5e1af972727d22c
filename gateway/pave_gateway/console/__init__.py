"""The page the operator looks at."""
