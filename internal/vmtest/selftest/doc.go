// Package selftest has guest tests that must pass wherever the harness works:
// they look at the guest that internal/vmtest makes.
package selftest
