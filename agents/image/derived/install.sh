#!/bin/sh
# Installs what was fetched, in a container of the agent image: as root, without a network. What it leaves is the derived
# image. Everything it needs lies in the folder that it is started in; what is not there is not wanted.
set -eu
export HOME=/tmp/build LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
mkdir -p "$HOME"
fetched=$PWD

if [ -d apt ]; then
    echo "installing the apt packages"
    # Some packages' scripts want these folders; none may start a service.
    mkdir -p /usr/share/man/man1 /usr/share/man/man5 /usr/share/man/man8
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    apt-get -q install -y --no-install-recommends "$fetched"/apt/*.deb
    rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
    # By the name that people and scripts call it.
    [ ! -e /usr/bin/chromium-headless-shell ] || [ -e /usr/bin/chromium ] ||
        ln -s chromium-headless-shell /usr/bin/chromium
fi

if [ -d node ]; then
    echo "installing Node"
    mkdir -p /usr/local/lib/node_modules
    cp node/bin/node /usr/local/bin/node
    cp -R node/lib/node_modules/npm /usr/local/lib/node_modules/npm
    chmod 755 /usr/local/bin/node
    ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
    chmod 755 /usr/local/lib/node_modules/npm/bin/npm-cli.js /usr/local/lib/node_modules/npm/bin/npx-cli.js
fi

if [ -f harness.tgz ]; then
    . ./harness.sh # name, program, path, strip, members
    echo "installing $name"
    mkdir -p "/opt/$name"
    # shellcheck disable=SC2086 # members is a list
    set -f
    tar -xzf harness.tgz --no-same-owner --wildcards --strip-components="$strip" -C "/opt/$name" $members
    set +f
    chmod -R u=rwX,go=rX "/opt/$name"
    chmod 755 "/opt/$name/$path"
    ln -s "/opt/$name/$path" "/usr/local/bin/$program"
    echo "starting $program"
    "/usr/local/bin/$program" --version
fi

if [ -f pip.txt ]; then
    echo "installing the pip packages"
    # /usr/local itself is the environment: `python3` on PATH has the packages, the agent's own /usr/bin/python3 has not.
    python3 -m venv --system-site-packages --without-pip /usr/local
    PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) /usr/local/bin/python3 -m pip install --no-input \
        --disable-pip-version-check --no-cache-dir --no-index --find-links wheels --requirement pip.txt
fi

if [ -d npm ]; then
    echo "installing the npm packages"
    mkdir -p /opt/npm
    cp -R npm/. /opt/npm
    # Their install scripts run here for the first time, where there is no network.
    (cd /opt/npm && npm rebuild --offline --foreground-scripts)
    for program in /opt/npm/node_modules/.bin/*; do
        [ ! -e "$program" ] || [ -e "/usr/local/bin/${program##*/}" ] || ln -s "$program" "/usr/local/bin/${program##*/}"
    done
fi

# No set-id programs: nothing in here has a reason to change its user.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -rf "$HOME"
