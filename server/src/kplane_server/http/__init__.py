# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front door: transport, routing, one fixed pipeline of filters, a handler per verb, negotiation and watch streams.

Order inside: transport > pipeline > handlers > the rest. Nothing but ``transport`` knows the HTTP library.
"""
