"""What happens to the street: scenario files, vehicles, and the field they make."""
