// Package veritytable holds the formats around dm-verity: the superblock that veritysetup
// writes in front of a hash tree, the layout of the tree, and the table line for the kernel's
// "verity" target (Documentation/admin-guide/device-mapper/verity.rst).
//
// Superblocks come from disk and are hostile: every field is bounded, and no product of two of
// them can overflow afterwards. Nothing is read or hashed here (package hashtree
// does), nothing is sent to the kernel, and neither forward error correction nor trees
// without a superblock are known yet.
package veritytable
