//go:build tools

// Package tools names the programs that go.mod and go.sum pin; tools/catalog.ts says how they are built.
package tools

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
)
