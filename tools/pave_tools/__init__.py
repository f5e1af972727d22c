"""What turns `firmware/` and `hardware/boards/` into bytes a technician flashes.

From the inside out: `manifest` says which files a role carries, `firmware` compiles them, `littlefs_image`, `nvs_image`
and `partition` make the parts of a flash, `image` puts them together, `pins` keeps the firmware's pin numbers equal to
the board files. Runs on Linux, macOS and Windows.
"""
