# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Common Expression Language, as Kubernetes uses it for validation rules.

``parser`` makes trees of text, ``program`` makes closures of trees, ``macros`` are its loops, ``values`` says what values are and
when they are equal. The functions are in ``operators``, ``conversions``, ``text``, ``lists``, ``network`` and ``kinds``. ``rules``
applies all that to ``x-kubernetes-validations``.

What is written is judged first: ``declarations`` says what a schema declares, ``expansion`` writes macros out as loops, ``types``
(with ``overloads``, ``unification`` and ``literals``) gives every part a type, ``costs`` (with ``callcosts`` and ``sizes``) reckons
the most that it can cost, and ``rulechecks`` holds the rules of a definition to all that.

Why not a library: expressions come from tenants and run on the event loop, so each evaluation must be bounded. Of the two libraries
there are, one (common-expression-language 0.10) holds the interpreter lock for as long as an expression takes, without any limit,
lacks optional field selection and counts bytes instead of characters; the other (cel-python 0.5) takes a millisecond for a small
rule. Neither has Kubernetes' functions. The tests compare this one with answers of cel-go itself.
Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md and https://kubernetes.io/docs/reference/using-api/cel/.
"""
