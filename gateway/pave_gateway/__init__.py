"""The edge gateway: readings are on disk before they are acknowledged, and leave to the city's back-ends."""
