package main

import "github.com/preroot/preroot/applets/boot"

var program = boot.Program{Profile: "sealed"}
