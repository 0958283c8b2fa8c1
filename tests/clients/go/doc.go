// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Package clients runs unmodified Go software against a virtual control plane: client-go, controller-runtime and helm.
//
// KUBECONFIG names the kubeconfig of a VCP that the tests may fill; without it they fail, they never skip.
package clients
