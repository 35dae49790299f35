//! Which releases can run a target. Dualpath needs Envoy 1.40, and where something else brings Envoy, its own release decides.

/// What runs a target, and since when that can.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Needs {
    /// Its name, such as `Istio`.
    pub product: &'static str,
    /// Major and minor number of the first release that can.
    pub since: (u32, u32),
    /// Why no earlier one.
    pub because: &'static str,
}

/// A target that Envoy itself reads.
pub(in crate::cli) const ENVOY: Needs =
    Needs { product: "Envoy", since: (1, 40), because: "what retries need, and the filter on clusters, came with it" };

/// The manifests name an image of Envoy 1.40.
pub(super) const KUBERNETES: Needs =
    Needs { product: "Kubernetes", since: (1, 29), because: "sidecar containers are on by default from there" };

/// Istio's proxies are the Envoy of its release.
pub(super) const ISTIO: Needs =
    Needs { product: "Istio", since: (1, 32), because: "its proxies are the first that are Envoy 1.40" };

/// What is rendered names an Envoy of its own.
pub(super) const ENVOY_GATEWAY: Needs = Needs {
    product: "Envoy Gateway",
    since: (1, 9),
    because: "it knows all that is patched in, for the Envoy 1.40 that EnvoyProxy names",
};

impl Needs {
    /// Why this release can't run the target; `None` if it can.
    pub fn refuse(&self, version: &str) -> Option<String> {
        let Needs { product, since: (major, minor), because } = self;
        let Some(release) = numbers(version) else {
            return Some(format!(
                "--target-version {version:?}: must be a release of {product}, such as {major}.{minor}.0"
            ));
        };
        (release < self.since).then(|| {
            format!(
                "--target-version {version}: {product} {}.{} cannot run Dualpath. The first release that can is {product} \
                 {major}.{minor}: {because}",
                release.0, release.1
            )
        })
    }
}

/// Major and minor number of `1.40.0`, `v1.40`, `1.40.0-dev`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_release_is_told_the_first_that_can() {
        for too_old in ["1.39.1", "v1.39.1", "1.9", "0.41.0"] {
            let told = ENVOY.refuse(too_old).expect(too_old);
            assert!(told.contains("The first release that can is Envoy 1.40"), "{told}");
        }
        for able in ["1.40.0", "v1.40", "1.40.0-dev", "1.41.2", "2.0"] {
            assert_eq!(ENVOY.refuse(able), None, "{able}");
        }
        for other in ["", "1", "latest", "1.x"] {
            assert!(ENVOY.refuse(other).expect(other).contains("must be a release of Envoy"));
        }
    }
}
