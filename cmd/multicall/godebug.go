// The limits of control groups are not read at every start, nor again later: the kernel holds us to them anyway, and
// most calls are over before they matter.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main
