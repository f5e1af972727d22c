"""What a run is told as afterwards: collected from its trace, as JSON and as one HTML page."""
