# The operator's image: the program, the authorities that it trusts, and nothing else. What goes in is
# staged under target/image/root by `make image`, which then builds this file; it works with buildah,
# podman and docker alike, offline.
FROM scratch

ARG VERSION
ARG REVISION

LABEL org.opencontainers.image.title="ses-smtp-operator" \
      org.opencontainers.image.description="Kubernetes operator that provisions, publishes and removes Amazon SES SMTP credentials" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

# /ses-smtp-operator, /etc/ssl/certs/ca-certificates.crt, /LICENSE
COPY target/image/root/ /

# A number, so that Kubernetes can tell that it isn't root; deploy/base sets the same.
USER 65532:65532
# So that `kubectl exec ... -- ses-smtp-operator orphans` finds it.
ENV PATH=/
ENTRYPOINT ["/ses-smtp-operator"]
