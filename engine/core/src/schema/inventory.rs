//! The form of inventories.

use super::Form::{Any, Integer, List, Map, Matching, Maybe, Shape as A, Text};
use super::{Shape, may};

const NAME: &str = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$";
const LABEL: &str = r"^[^\s,=!]+$";
const SETTING: &str = r"^[^-]";

const EXAMPLE: &str = "
hosts:
  hv1: { labels: { rack: a }, vars: { images: /data/vms }, ssh: { address: 10.0.0.11, user: root, port: 22, identity: ~/.ssh/ops, jump: bastion, config: ./ssh_config, known_hosts: ./known } }
  bastion:
groups:
  hypervisors: [hv1]
";

/// Every map of an inventory; the first is the document.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "inventory",
        help: "The hosts there are, and groups of them.",
        fields: &[
            may(
                "hosts",
                Maybe(&Map(NAME, &Maybe(&A("host")))),
                "Hosts by name. A host of which nothing needs to be said is a name and a colon.",
            ),
            may(
                "groups",
                Maybe(&Map(NAME, &Maybe(&List(&Text)))),
                "Groups by name: lists of hosts and of other groups.",
            ),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "host",
        help: "A host: what is known of it, and how ssh reaches it.",
        fields: &[
            may(
                "labels",
                Maybe(&Map(LABEL, &Matching(LABEL))),
                "Words to select hosts by: the pattern `rack=a` means every host with this label.",
            ),
            may("vars", Maybe(&Map("", &Any)), "Values that expressions read as `host.vars.NAME`."),
            may("ssh", Maybe(&A("ssh")), "How to reach it, where the user's ssh config does not say so already."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "ssh",
        help: "How ssh reaches a host. What is not said here comes from the user's ssh config.",
        fields: &[
            may("address", Matching(SETTING), "The name or address to connect to; without it, the host's name."),
            may("user", Matching(SETTING), "The user to log in as."),
            may("port", Integer(1, 65_535), "The port."),
            may("identity", Matching(SETTING), "The file with the private key."),
            may("jump", Matching(SETTING), "The host to go through, as ssh's ProxyJump takes it."),
            may("config", Matching(SETTING), "An ssh config file to use instead of the user's."),
            may("known_hosts", Matching(SETTING), "A file with host keys to use instead of the user's."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
];
