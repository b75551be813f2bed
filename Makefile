# The project's commands. `make` alone prints them.

CARGO ?= cargo
GO ?= go
# Oldest Go that builds the control plane for demo and tests.
GO_MINIMUM := 1.26
# The operator with protocol durations that can be scaled, which suites and demo need.
SCALED := --features ses-smtp-operator/scaled-time
CARGO_DENY_VERSION := 0.20.2
TOOLS := target/tools
# Whose custom resource definitions the manifests for Prometheus are tried with.
PROMETHEUS_OPERATOR_VERSION := v0.85.0
FUZZ_CASES ?= 20000

.DEFAULT_GOAL := help
.PHONY: help check test test-full measure demo generate deny fuzz moto iam health chart consumers metrics image image-push image-reproducible image-test sbom node-test need-cargo need-go need-go-itself

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: need-cargo ## Format, lints, documentation; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

test: need-cargo need-go ## Every test, on a real API server and a stand-in for AWS
	$(CARGO) test --workspace $(SCALED)

test-full: need-cargo need-go ## Every fault at every call, storms and a virtual year, some half an hour; plain `test` runs a sample
	ENUMERATOR=full $(CARGO) test -p ses-smtp-operator $(SCALED) --test enumerator -- --nocapture
	LEADER=full $(CARGO) test -p ses-smtp-operator $(SCALED) --test leader -- --nocapture
	STORM=full $(CARGO) test -p ses-smtp-operator $(SCALED) --test storm -- --nocapture
	YEAR=full $(CARGO) test -p ses-smtp-core --lib year -- --nocapture

measure: need-cargo need-go ## What many objects at once cost a release build
	$(CARGO) build --release -p ses-smtp-operator
	OPERATOR_BINARY="$(CURDIR)/target/release/ses-smtp-operator" $(CARGO) test --workspace $(SCALED) --test scale -- --nocapture --test-threads 1

demo: need-cargo need-go ## A credential's life on real servers, shown step by step; KEEP=1 leaves them running
	$(CARGO) build --workspace $(SCALED)
	KEEP="$(KEEP)" "$${CARGO_TARGET_DIR:-target}/debug/demo"

generate: need-cargo ## Write again what is generated from code: the CRD, the chart's schema, rules and tables in the documentation
	UPDATE_DOCS=1 $(CARGO) test -p ses-smtp-operator $(SCALED) --lib --test alerts --test chart --test crd --test docs

deny: need-cargo ## Licences, banned crates and sources of dependencies
	@test "$$($(TOOLS)/bin/cargo-deny --version 2>/dev/null)" = "cargo-deny $(CARGO_DENY_VERSION)" \
	  || $(CARGO) install cargo-deny --locked --version $(CARGO_DENY_VERSION) --root $(TOOLS)
	$(TOOLS)/bin/cargo-deny --all-features check --hide-inclusion-graph bans licenses sources

fuzz: need-cargo ## What reads or writes text that others choose, on FUZZ_CASES inputs cut and bent by chance
	FUZZ_CASES="$(FUZZ_CASES)" $(CARGO) test -p ses-smtp-operator $(SCALED) --test fuzzed -- inputs_cut_and_bent_pass

moto: need-cargo ## The stand-in for AWS against moto, an independent one
	tests/moto/run.sh

iam: need-cargo need-go-itself ## Set-up of the operator's rights: Terraform, CloudFormation and AWS CLI
	GO="$(GO)" tests/setup/run.sh

health: need-cargo need-go need-go-itself ## What Flux and Argo CD make of objects, by the libraries that they use
	cd tests/health && $(GO) build -trimpath -o "$(CURDIR)/$(TOOLS)/health" .
	HEALTH_PROGRAM="$(CURDIR)/$(TOOLS)/health" $(CARGO) test -p ses-smtp-operator $(SCALED) --test health -- --include-ignored

chart: need-cargo need-go need-go-itself ## Manifests and Helm chart: rendered, compared, and taken by a real API server
	@mkdir -p $(TOOLS)/deploy
	cd deploy/tools && for tool in kustomize=sigs.k8s.io/kustomize/kustomize/v5 helm3=helm.sh/helm/v3/cmd/helm helm4=helm.sh/helm/v4/cmd/helm; do \
	  CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o "$(CURDIR)/$(TOOLS)/deploy/$${tool%%=*}" "$${tool#*=}" || exit 1; done
	DEPLOY_TOOLS="$(CURDIR)/$(TOOLS)/deploy" \
	  PROMETHEUS_OPERATOR="$$($(GO) mod download -json github.com/prometheus-operator/prometheus-operator@$(PROMETHEUS_OPERATOR_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')" \
	  $(CARGO) test -p ses-smtp-operator $(SCALED) --test deploy -- --include-ignored

consumers: need-cargo need-go-itself ## Presets against the consumers that they are for
	tests/consumers/run.sh

image: need-cargo ## The container image, as small as it gets, which takes many minutes; IMAGE= and TAG= name it
	deploy/image/build.sh

image-push: ## Push it to the registry in its name
	deploy/image/push.sh

image-reproducible: need-cargo ## Build the image twice, in two checkouts, and compare
	deploy/image/reproducible.sh

image-test: ## The program in the image, run as a pod would; needs root
	tests/image/run.sh

sbom: need-cargo ## A list of everything that is in the image, in CycloneDX
	deploy/image/sbom.sh

metrics: need-cargo need-go need-go-itself ## Alert rules, dashboard and their queries, with a real Prometheus
	tests/prometheus/run.sh

node-test: need-cargo need-go need-go-itself ## The operator as a pod on a real node, and pods that send mail; root, packages by crates/node/install.sh
	crates/node/run.sh

need-cargo:
	@command -v $(CARGO) >/dev/null \
	  || { echo "cargo is missing: install Rust with rustup; rust-toolchain.toml picks the version" >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null \
	  || { echo "a C compiler is missing: install gcc or clang; Rust links with it" >&2; exit 1; }

need-go:
	@test -n "$$KUBEBUILDER_ASSETS" || command -v $(GO) >/dev/null \
	  || { echo "go is missing: install Go $(GO_MINIMUM) or newer, which builds etcd, kube-apiserver and kube-controller-manager once; or set KUBEBUILDER_ASSETS to a folder that holds them" >&2; exit 1; }

need-go-itself:
	@command -v $(GO) >/dev/null || { echo "go is missing: install Go $(GO_MINIMUM) or newer" >&2; exit 1; }
