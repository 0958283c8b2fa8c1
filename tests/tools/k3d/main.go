// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The pinned k3d of the tests: the published module, built as it is.
package main

import "github.com/k3d-io/k3d/v5/cmd"

func main() { cmd.Execute() }
