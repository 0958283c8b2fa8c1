module recorder

go 1.24.0

require (
	k8s.io/apimachinery v0.34.2
	k8s.io/kube-openapi v0.0.0-20250710124328-f3f2b991d03b
)
