"""How the gateway is put together: from a site file and a machine to parts that run. `runtime` starts and stops it."""
