// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build tools

// Package helm pins the published helm program for the tests; its main package is built from the module as it is.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
