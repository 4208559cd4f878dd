# Hub, leaf and command line in one image, built as on any fresh Debian 12.
FROM debian:12
COPY . /opt/sheaf
RUN /opt/sheaf/dev build \
    && ln -s /opt/sheaf/build/release/cli/sheaf /usr/local/bin/sheaf \
    && rm -rf /root/.cache /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/sheaf --create-home sheaf
ENV SHEAF_DEV_DIR=/var/lib/sheaf/dev
USER sheaf
VOLUME /var/lib/sheaf
ENTRYPOINT ["sheaf"]
