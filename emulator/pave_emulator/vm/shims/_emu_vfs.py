"""`vfs` as on the port: without the host's own file system (VfsPosix)."""

import vfs as vm_vfs

VfsFat = vm_vfs.VfsFat
VfsLfs2 = vm_vfs.VfsLfs2
mount = vm_vfs.mount
umount = vm_vfs.umount
