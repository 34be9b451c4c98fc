// Package architecture has no code. Its tests read the source of the whole
// module and enforce who may import what, as docs/architecture.md describes it; a
// new package has to be given its place in layers_test.go.
//
// What is linked into bin/preroot is watched over where it is linked, in
// cmd/multicall.
package architecture
