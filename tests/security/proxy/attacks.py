"""The attacks that the credential proxy is tested against, as data: what is tried, what happens, which tests try it.

The attacker is code in a container with a valid lease, or the upstream that it talks to. Everything is played over real
sockets; the oracle (`scene.py`) is a canary secret that may arrive at the granted upstream and nowhere else. Tests are
named by file and function, below `tests/`. An attack without a test says why.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    number: int
    attack: str
    safe: str
    tests: tuple[str, ...] = ()
    reason: str = ""
    """Why there is no test, or what no test can show."""


SP = "security/proxy/"
CP = "credproxy/"
OLD = f"{CP}test_attacks.py::"

ATTACKS = (
    Attack(
        number=1,
        attack="a tunnel to A, a Host header of B inside it",
        safe="421; only A is ever dialled and written down",
        tests=(f"{OLD}test_nothing_crooked_leaves_a_tunnel",),
    ),
    Attack(
        number=2,
        attack="a tunnel to B, a Host header of A inside it",
        safe="421, and no secret of A's in what B gets",
        tests=(f"{SP}test_where.py::test_name_in_a_tunnel_never_moves_a_secret",),
    ),
    Attack(
        number=3,
        attack="a tunnel to A, the name of B in the handshake",
        safe="an alert instead of a handshake",
        tests=(f"{OLD}test_other_name_in_the_handshake_is_refused",),
    ),
    Attack(
        number=4,
        attack="a user name before the host, so that two parsers find two hosts",
        safe="400; nobody is dialled",
        tests=(f"{OLD}test_nothing_crooked_passes_a_door", f"{OLD}test_nothing_crooked_leaves_a_tunnel"),
    ),
    Attack(
        number=5,
        attack="an absolute form inside a tunnel",
        safe="400",
        tests=(f"{OLD}test_nothing_crooked_leaves_a_tunnel",),
    ),
    Attack(
        number=6,
        attack="a target without a slash, `*`, a tunnel inside a tunnel",
        safe="400",
        tests=(f"{OLD}test_nothing_crooked_leaves_a_tunnel", f"{OLD}test_nothing_crooked_passes_a_door"),
    ),
    Attack(
        number=7,
        attack="NUL, control characters, spaces, backslashes in a host",
        safe="400, for each of the 256 bytes that no host has",
        tests=(
            f"{OLD}test_host_takes_no_other_bytes",
            f"{SP}test_where.py::test_no_byte_in_a_name_is_overlooked",
            f"{SP}test_fuzz.py::test_any_target_is_refused_or_in_its_one_form",
            f"{SP}test_fuzz_guided.py::test_parser_holds_for_a_while",
        ),
    ),
    Attack(
        number=8,
        attack="a host in other letters' case",
        safe="one host, one decision, one secret",
        tests=(
            f"{OLD}test_case_and_trailing_dot_are_the_same_host",
            f"{SP}test_where.py::test_one_name_has_one_grant_whatever_its_case",
        ),
    ),
    Attack(
        number=9,
        attack="trailing dots, empty labels, other scripts, letters that look alike",
        safe="one dot is taken off; all else is 400",
        tests=(f"{OLD}test_nothing_crooked_passes_a_door", f"{OLD}test_case_and_trailing_dot_are_the_same_host"),
    ),
    Attack(
        number=10,
        attack="an address as one number, in octal, in hexadecimal, short, with a zone, inside IPv6",
        safe="400 but for four plain decimals and plain IPv6, which need a grant that names them",
        tests=(
            f"{OLD}test_nothing_crooked_passes_a_door",
            f"{SP}test_fuzz.py::test_no_number_is_an_address",
            f"{SP}test_fuzz.py::test_four_parts_are_plain_decimals",
            f"{CP}test_addresses.py::test_an_ipv4_address_in_ipv6_is_no_way_around",
        ),
    ),
    Attack(
        number=11,
        attack="a granted name that stands for a private, loopback, link-local or reserved address",
        safe="refused at the dial, for every address of the answer",
        tests=(
            f"{OLD}test_granted_name_never_reaches_inwards",
            f"{CP}test_addresses.py::test_what_nobody_was_given_is_not_public",
        ),
    ),
    Attack(
        number=12,
        attack="the metadata services of clouds and containers",
        safe="never dialled, whatever a grant says",
        tests=(f"{OLD}test_metadata_is_never_reached_even_when_granted",),
    ),
    Attack(
        number=13,
        attack="the proxy's own sockets, and what else runs on its machine, by any of its names and addresses",
        safe="refused; the machine's public address too, unless a grant names it",
        tests=(
            f"{SP}test_where.py::test_proxys_machine_is_no_destination",
            f"{SP}test_where.py::test_own_addresses_are_known",
            f"{SP}test_where.py::test_own_public_address_is_reached_only_by_name",
            f"{SP}test_containers.py::test_control_is_not_spoken_at_a_door",
        ),
    ),
    Attack(
        number=14,
        attack="a name whose address changes after it was checked, or that has a public and a private one",
        safe="resolved once, all addresses checked, one of those dialled",
        tests=(
            f"{OLD}test_name_is_resolved_once_and_that_address_dialled",
            f"{OLD}test_granted_name_never_reaches_inwards",
        ),
    ),
    Attack(
        number=15,
        attack="another port of a granted host",
        safe="403: a grant is for one port",
        tests=(f"{SP}test_where.py::test_grant_is_for_one_port", f"{OLD}test_nothing_crooked_passes_a_door"),
    ),
    Attack(
        number=16,
        attack="a granted host asked for in plain http, so that the secret goes in clear",
        safe="403; no file can grant it; a plain route with a key reaches loopback alone",
        tests=(
            f"{SP}test_where.py::test_both_entries_are_judged_alike",
            f"{SP}test_where.py::test_plain_http_grant_takes_no_secret",
            f"{OLD}test_secret_never_travels_in_clear",
            f"{CP}pipeline/test_plain_tunnel.py::test_plain_where_only_tls_is_granted_reaches_nobody",
            f"{CP}pipeline/test_plain_tunnel.py::test_both_grants_at_one_port_keep_their_own",
        ),
    ),
    Attack(
        number=17,
        attack="an absolute https form, past what tunnels are judged by",
        safe="400: https goes through a tunnel or not at all",
        tests=(f"{SP}test_where.py::test_absolute_https_is_no_way_around_a_tunnel",),
    ),
    Attack(
        number=18,
        attack="a request whose end two servers find in two places: two lengths, a length and chunks, odd numbers",
        safe="400 and closed; what stands behind it is never read",
        tests=(
            f"{SP}test_framing.py::test_crooked_request_reaches_nobody",
            f"{SP}test_framing.py::test_nothing_hides_behind_a_crooked_request",
            f"{SP}test_framing.py::test_chunk_extensions_and_trailers_stay_here",
            f"{SP}test_fuzz.py::test_plain_reader_never_knows_better",
            f"{SP}test_fuzz.py::test_what_goes_out_is_one_request",
            f"{SP}test_fuzz.py::test_chunks_are_one_body_however_dressed",
            f"{SP}test_fuzz_wire.py::test_mangled_requests",
            f"{OLD}test_pipelined_request_is_not_answered",
            f"{OLD}test_bytes_behind_connect_are_refused",
        ),
    ),
    Attack(
        number=19,
        attack="folded lines, bare line feeds, bare carriage returns, a space before a colon",
        safe="400",
        tests=(
            f"{SP}test_framing.py::test_crooked_request_reaches_nobody",
            f"{SP}test_fuzz.py::test_head_ends_where_it_ends_however_it_is_cut",
            f"{OLD}test_nothing_crooked_leaves_a_tunnel",
        ),
    ),
    Attack(
        number=20,
        attack="an answer whose end can be found in two places, or with more behind it",
        safe="502; the connection is dropped and never used again",
        tests=(
            f"{SP}test_framing.py::test_crooked_answer_ends_its_connection",
            f"{SP}test_framing.py::test_bytes_between_two_exchanges_retire_the_connection",
            f"{SP}test_fuzz_wire.py::test_mangled_answers",
            f"{SP}test_fuzz.py::test_any_answer_is_read_or_left_to_the_strict_parser",
            f"{OLD}test_bytes_after_an_answer_poison_nobody",
            f"{OLD}test_crooked_answer_is_a_502_and_its_connection_ends",
        ),
    ),
    Attack(
        number=21,
        attack="one container's request leaves something in a connection that another's is sent on",
        safe="connections are kept per group, rule, credential and policy; anything odd ends one",
        tests=(
            f"{SP}test_framing.py::test_interleaved_groups_get_their_own_answers",
            f"{SP}test_containers.py::test_connection_under_way_does_not_outlive_its_grant",
            f"{OLD}test_pool_is_not_shared_between_groups",
        ),
    ),
    Attack(
        number=22,
        attack="line breaks or control characters in a secret's value, or in the header that a grant names",
        safe="refused when written, checked again when used",
        tests=(
            f"{SP}test_carriers.py::test_value_that_could_end_a_header_is_not_taken",
            f"{SP}test_carriers.py::test_bad_value_is_refused_where_it_is_written",
            f"{SP}test_carriers.py::test_header_that_would_break_a_request_is_refused_in_the_file",
        ),
    ),
    Attack(
        number=23,
        attack="a secret that cannot be put in, so that the request goes out without it",
        safe="the request fails with its code; nothing is sent",
        tests=(
            f"{SP}test_carriers.py::test_secret_that_does_not_open_sends_nothing",
            f"{CP}injection/test_url_parts.py::test_a_path_without_a_hole_is_refused",
            f"{CP}issuers/test_through_doors.py::test_login_that_is_over_is_said_to_the_agent",
        ),
    ),
    Attack(
        number=24,
        attack="a path that the rule reads in one way and the server in another: dots, slashes, escapes, their doubles",
        safe="what was judged is what is sent; what servers read differently is refused, or needs the whole host",
        tests=(
            f"{SP}test_real_servers.py::test_nothing_that_passes_is_read_as_another_path",
            f"{SP}test_real_servers.py::test_paths_by_chance_pass_as_what_they_are",
            f"{SP}test_real_servers.py::test_rewriting_a_path_changes_no_reading",
            f"{SP}test_real_servers.py::test_server_tells_open_from_closed",
            f"{SP}test_fuzz.py::test_any_path_is_refused_or_settled",
            f"{SP}test_fuzz.py::test_quick_globs_mean_what_plain_ones_do",
            f"{OLD}test_no_path_slips_past_its_grant",
            f"{OLD}test_what_is_judged_is_what_is_sent",
        ),
    ),
    Attack(
        number=25,
        attack="`;` and what follows it, which some servers take out of a path",
        safe="refused by every grant that names paths",
        tests=(
            f"{SP}test_real_servers.py::test_nothing_that_passes_is_read_as_another_path",
            f"{OLD}test_no_path_slips_past_its_grant",
        ),
    ),
    Attack(
        number=26,
        attack="another method than the one that was judged: override headers, other case, HEAD for GET",
        safe="the method on the wire counts, exactly; overrides stay here",
        tests=(
            f"{SP}test_carriers.py::test_no_override_reaches_the_server",
            f"{SP}test_carriers.py::test_method_is_the_one_on_the_wire",
        ),
    ),
    Attack(
        number=27,
        attack="a body that a rule about bodies reads only in part: padded, compressed, cut in chunks",
        safe="no rule reads what a body says; its size is capped however it is sent",
        tests=(
            f"{CP}pipeline/test_terms.py::test_body_cap",
            f"{SP}test_terms.py::test_body_beyond_its_cap_is_refused_however_it_is_cut",
        ),
        reason="that no rule reads a body is a decision: what it says can be written in too many ways",
    ),
    Attack(
        number=28,
        attack="a redirect to B",
        safe="passed back as it is; the agent's next request is decided by itself",
        tests=(
            f"{SP}test_answers.py::test_redirect_is_the_agents_to_follow",
            f"{OLD}test_redirect_is_the_agents_own_next_request",
        ),
    ),
    Attack(
        number=29,
        attack="a granted host that can be told to fetch from elsewhere, or encodes the secret in a way of its own",
        safe="narrow paths and methods; documented where grants are",
        reason="out of the proxy's reach: whoever is granted a secret has it",
    ),
    Attack(
        number=30,
        attack="the secret comes back: in a body, a header, a reason, a trailer, in our own words about it",
        safe="withheld, or cut off before it is whole; TRACE is never sent",
        tests=(
            f"{SP}test_answers.py::test_reflected_secret_stays_here",
            f"{SP}test_answers.py::test_reflection_in_a_head_is_withheld",
            f"{SP}test_answers.py::test_reflection_in_the_reason_is_withheld",
            f"{SP}test_answers.py::test_trailers_extensions_and_early_hints_carry_nothing",
            f"{SP}test_answers.py::test_what_is_said_of_a_broken_answer_quotes_nothing",
            f"{SP}test_answers.py::test_trace_and_options_show_nothing",
            f"{CP}pipeline/test_websocket.py::test_reflected_secret_cuts_the_socket",
        ),
    ),
    Attack(
        number=31,
        attack="the secret comes back in pieces, escaped, in base64, compressed, in ranges",
        safe="found across any cut in the usual forms; no compression and no ranges where it goes out",
        tests=(
            f"{SP}test_answers.py::test_reflected_secret_stays_here",
            f"{SP}test_answers.py::test_encoded_answer_is_refused_unread",
            f"{SP}test_answers.py::test_parts_cannot_be_asked_for",
            f"{SP}test_fuzz.py::test_no_cut_lets_a_needle_through",
            f"{OLD}test_reflection_split_over_chunks_is_cut",
        ),
    ),
    Attack(
        number=32,
        attack="an upstream that breaks off with the beginning of the secret under way",
        safe="what was held back is dropped, and the answer is visibly unfinished",
        tests=(
            f"{SP}test_answers.py::test_upstream_that_breaks_off_with_the_secret_underway",
            f"{SP}test_answers.py::test_answer_that_ends_inside_a_needle_is_whole",
            f"{OLD}test_truncated_answer_is_seen_as_such",
        ),
    ),
    Attack(
        number=33,
        attack="a token endpoint hands fresh tokens to the agent, under any spelling of its address",
        safe="they go into the vault, as does a client's secret; the agent gets placeholders; our sessions stay here",
        tests=(
            f"{CP}issuers/test_through_doors.py::test_fresh_tokens_do_not_reach_the_agent",
            f"{CP}issuers/test_through_doors.py::test_answer_that_cannot_be_read_is_withheld",
            f"{CP}issuers/test_through_doors.py::test_a_client_that_a_tool_registers_can_log_in",
            f"{SP}test_terms.py::test_tokens_are_taken_in_however_the_address_is_spelled",
            f"{SP}test_answers.py::test_session_of_our_secret_stays_here",
        ),
    ),
    Attack(
        number=34,
        attack="a second credential rides along in another header",
        safe="every header that carries credentials is taken out before ours goes in",
        tests=(f"{SP}test_carriers.py::test_no_second_account_rides_along",),
    ),
    Attack(
        number=35,
        attack="the agent's own account at a granted host, so that data flows to its owner",
        safe="its carriers are taken out; a grant may ask for the placeholder in their place",
        tests=(
            f"{SP}test_carriers.py::test_no_second_account_rides_along",
            f"{CP}pipeline/test_terms.py::test_placeholder_must_be_carried",
        ),
        reason="a host that takes accounts in its paths or bodies needs a grant as narrow as that",
    ),
    Attack(
        number=36,
        attack="a parameter or header given twice, of which the server takes the other one",
        safe="all are taken out, then one is put in",
        tests=(
            f"{SP}test_carriers.py::test_doubled_header_is_sent_once",
            f"{CP}injection/test_url_parts.py::test_no_parameter_that_a_server_reads_as_ours_stays",
            f"{CP}injection/test_url_parts.py::test_a_parameter_behind_a_semicolon_is_refused",
        ),
    ),
    Attack(
        number=37,
        attack="headers for the next hop, and `Connection` that names ours",
        safe="taken out on both legs; what the proxy itself sends cannot be named away",
        tests=(
            f"{SP}test_carriers.py::test_headers_of_the_hop_end_here",
            f"{SP}test_carriers.py::test_connection_cannot_name_what_the_proxy_sends",
        ),
    ),
    Attack(
        number=38,
        attack="headers that the proxy itself might believe",
        safe="there are none; those that look so are taken out, upstreams' too",
        tests=(
            f"{SP}test_carriers.py::test_headers_of_the_hop_end_here",
            f"{CP}pipeline/test_terms.py::test_upstream_cannot_mark_its_answers",
        ),
    ),
    Attack(
        number=39,
        attack="another container's identity, claimed or stolen",
        safe="the socket says who asks; a token of the loopback door is bound to its connections",
        tests=(
            f"{SP}test_containers.py::test_grants_are_of_the_group_behind_the_door",
            f"{SP}test_containers.py::test_door_without_a_lease_opens_nothing",
            f"{OLD}test_lease_of_one_door_is_nothing_at_another",
            f"{CP}pipeline/test_host_door.py::test_a_connection_is_of_one_token",
            f"{CP}pipeline/test_host_door.py::test_without_a_token_nothing_is_told_nor_done",
        ),
    ),
    Attack(
        number=40,
        attack="the control socket, from a container",
        safe="not in its file system; at a door its frames are crooked requests",
        tests=(
            f"{SP}test_containers.py::test_control_is_out_of_a_containers_reach",
            f"{SP}test_containers.py::test_control_is_not_spoken_at_a_door",
            "security/test_live_container.py::test_other_groups_files_are_not_there",
        ),
    ),
    Attack(
        number=41,
        attack="the agent approves its own request",
        safe="approving is a verb of the control socket, which it does not reach",
        tests=(
            f"{SP}test_containers.py::test_control_is_not_spoken_at_a_door",
            f"{SP}test_terms.py::test_agent_cannot_say_yes_to_itself",
        ),
    ),
    Attack(
        number=42,
        attack="one thing is approved, another is sent: a changed tail, another target, the same again",
        safe="the whole request is held, shown and compared; a yes is for one sending",
        tests=(
            f"{SP}test_terms.py::test_yes_is_for_what_was_shown",
            f"{SP}test_terms.py::test_yes_is_for_one_sending",
            f"{SP}test_terms.py::test_other_request_cannot_use_a_yes",
            f"{CP}approvals/test_approvals.py::test_another_request_is_not_what_was_approved",
            f"{CP}approvals/test_approvals.py::test_approved_request_goes_out_once",
            f"{CP}pipeline/test_terms.py::test_approval_does_not_outlive_its_grant",
        ),
    ),
    Attack(
        number=43,
        attack="a flood of approvals, or one that shows itself as something else",
        safe="a quota of open ones per group; control and direction characters are shown as what they are",
        tests=(
            f"{SP}test_terms.py::test_flood_of_holds_has_its_bound",
            f"{CP}approvals/test_approvals.py::test_a_flood_does_not_wear_the_person_out",
            f"{CP}approvals/test_held_requests.py::test_request_waits_for_a_yes_and_goes_out_as_shown",
        ),
    ),
    Attack(
        number=44,
        attack="a WebSocket, past what requests are judged by",
        safe="one decision for both: what refuses a request refuses the upgrade with the same code",
        tests=(
            f"{SP}test_upgrades.py::test_upgrade_is_judged_as_a_request_is",
            f"{SP}test_upgrades.py::test_granted_upgrade_works",
            f"{SP}test_upgrades.py::test_upgrade_of_a_tunnel_to_another_host",
            f"{CP}pipeline/test_websocket.py::test_reading_grant_gives_no_websocket",
            f"{CP}pipeline/test_websocket.py::test_end_of_a_lease_cuts_the_socket",
        ),
    ),
    Attack(
        number=45,
        attack="an upgrade to h2c or to an unknown protocol, then raw bytes",
        safe="taken out of the request; a 101 that matches no WebSocket's request is an error",
        tests=(
            f"{SP}test_upgrades.py::test_no_other_protocol_is_switched_to",
            f"{CP}pipeline/test_websocket.py::test_only_the_matching_answer_is_an_upgrade",
            f"{CP}pipeline/test_websocket.py::test_crooked_handshakes_stay_here",
        ),
    ),
    Attack(
        number=46,
        attack="HTTP/2's second authority, its floods, its line breaks in paths",
        safe="HTTP/2 is not spoken: offered it is not chosen, forced it is 400",
        tests=(
            f"{SP}test_where.py::test_tunnel_speaks_one_protocol",
            f"{SP}test_where.py::test_http2_by_force_is_refused",
        ),
    ),
    Attack(
        number=47,
        attack="huge or slow heads, slow bodies, idle tunnels, floods of connections, inputs that are slow to judge",
        safe="a bound or a deadline for each; the other containers keep their speed",
        tests=(
            f"{SP}test_faults.py::test_client_that_stands_still_is_cut",
            f"{SP}test_faults.py::test_handshake_that_never_comes_is_cut",
            f"{SP}test_faults.py::test_reader_that_stops_reading_is_cut",
            f"{SP}test_faults.py::test_upstream_that_hangs_is_given_up",
            f"{SP}test_faults.py::test_upstream_that_never_shakes_hands",
            f"{SP}test_faults.py::test_a_thousand_connections_of_one_container",
            f"{SP}test_faults.py::test_flood_of_one_container_leaves_the_others_their_speed",
            f"{SP}test_faults.py::test_names_that_stall_hold_up_their_own_group_only",
            f"{SP}test_faults.py::test_name_that_stalls_ends_in_time",
            f"{SP}test_fuzz.py::test_no_path_holds_up_the_proxy",
            f"{SP}test_fuzz.py::test_head_that_comes_byte_by_byte_costs_little",
            f"{SP}test_terms.py::test_tags_by_the_thousand_hold_up_nobody",
            f"{OLD}test_slow_head_and_too_many_connections",
        ),
    ),
    Attack(
        number=48,
        attack="tunnels to a hundred thousand names, each with a certificate to make and keep",
        safe="decided before anything is made; what is kept has its bound",
        tests=(
            f"{SP}test_trust.py::test_names_by_the_thousand_make_nothing",
            f"{SP}test_trust.py::test_names_below_a_wildcard_are_kept_in_bounds",
        ),
    ),
    Attack(
        number=49,
        attack="a compressed answer that is enormous when inflated",
        safe="nothing is inflated",
        tests=(f"{SP}test_answers.py::test_encoded_answer_is_refused_unread",),
    ),
    Attack(
        number=50,
        attack="an upstream with a bad certificate: another's name, expired, self-signed, old TLS",
        safe="502 before the secret is even opened; there is no way to switch it off",
        tests=(
            f"{SP}test_trust.py::test_upstream_must_prove_its_name",
            f"{OLD}test_untrusted_upstream_gets_nothing",
        ),
    ),
    Attack(
        number=51,
        attack="the authority's key, or an authority that can make others",
        safe="private to the proxy, made for this machine, for leaves only; a leaf lives a week",
        tests=(
            f"{SP}test_trust.py::test_authority_is_the_proxys_alone",
            f"{SP}test_spills.py::test_every_file_is_its_owners_alone",
            f"{OLD}test_authority_is_private_and_signs_no_other",
        ),
    ),
    Attack(
        number=52,
        attack="a wildcard over names that anybody can rent",
        safe="refused when written and when read; a wildcard never gets a secret",
        tests=(
            f"{SP}test_terms.py::test_wildcard_over_strangers_grants_nothing",
            f"{SP}test_terms.py::test_wildcard_gets_no_secret",
            f"{CP}policy/test_public_suffix.py::test_names_below_which_strangers_live_are_refused",
        ),
    ),
    Attack(
        number=53,
        attack="an error whose text carries the secret into a log, an answer or the record",
        safe="the target before injection is what is written; no error quotes what came or went",
        tests=(
            f"{SP}test_spills.py::test_no_trouble_writes_a_secret_down",
            f"{SP}test_answers.py::test_what_is_said_of_a_broken_answer_quotes_nothing",
            f"{CP}injection/test_street.py::test_a_hole_in_the_path_is_filled_and_the_audit_has_the_path_before",
        ),
    ),
    Attack(
        number=54,
        attack="databases, their logs, copies, core files, the process's memory and environment",
        safe="sealed at rest, never written in clear; no core files, no debugger of the same user",
        tests=(
            f"{SP}test_spills.py::test_no_trouble_writes_a_secret_down",
            f"{SP}test_spills.py::test_crash_leaves_nothing_in_clear",
            f"{SP}test_spills.py::test_backup_holds_no_secret_and_opens_only_with_its_key",
            f"{SP}test_spills.py::test_environment_and_arguments_hold_no_secret",
            f"{SP}test_spills.py::test_its_own_user_cannot_read_its_memory",
            f"{SP}test_containers.py::test_copied_vault_is_worth_nothing",
            f"{CP}vault/test_process_secrets.py::test_crash_leaves_no_core_file",
        ),
        reason="swap is the system's: a page of memory may get there; documented",
    ),
    Attack(
        number=55,
        attack="one secret's sealed value put into another's row",
        safe="it does not open: the row is part of what is sealed",
        tests=(f"{CP}test_vault.py::test_swapped_rows_do_not_open",),
    ),
    Attack(
        number=56,
        attack="a value used after it was revoked, half-replaced, or refreshed twice at once",
        safe="each request has one whole version; revoking ends what is kept and what runs within a second",
        tests=(
            f"{SP}test_containers.py::test_revoked_secret_ends_at_once",
            f"{SP}test_containers.py::test_revoked_grant_ends_at_once",
            f"{SP}test_containers.py::test_replacing_under_load_mixes_nothing",
            f"{SP}test_containers.py::test_connection_under_way_does_not_outlive_its_grant",
            f"{CP}pipeline/test_terms.py::test_removed_secret_cuts_what_was_sent_with_it",
            f"{CP}issuers/test_through_doors.py::test_fifty_requests_at_once_refresh_once",
            f"{CP}issuers/test_killed.py::test_killed_at_any_moment_afterwards",
        ),
    ),
    Attack(
        number=57,
        attack="something that the proxy needs is gone: its policy, its audit, its disk, its names",
        safe="refused; nothing goes out by default",
        tests=(
            f"{SP}test_containers.py::test_whatever_breaks_closes",
            f"{SP}test_faults.py::test_full_disk_stops_what_cannot_be_recorded",
            f"{SP}test_faults.py::test_locked_audit_stops_what_cannot_be_recorded",
            f"{CP}audit/test_disk_full.py::test_full_disk_stops_requests_and_loses_none",
        ),
    ),
    Attack(
        number=58,
        attack="a client that trusts no certificate of ours, and tries for ever",
        safe="it fails at once, visibly; nothing is dialled, and there is no way around the proxy",
        tests=(f"{SP}test_trust.py::test_client_that_trusts_nobody_is_told_of_in_the_record",),
    ),
    Attack(
        number=59,
        attack="a program that ignores the proxy's variables, speaks UDP, asks a name server itself",
        safe="a container has no network: there is nowhere to go but its socket",
        tests=("security/test_live_container.py::test_network_vsock_and_packet_sockets_are_out_of_reach",),
    ),
    Attack(
        number=60,
        attack="data carried out through a granted host, in prompts, queries, addresses",
        safe="out of reach; narrowed by methods, paths, quotas, and by what the open web is asked with; on record",
        tests=(
            f"{SP}test_terms.py::test_open_web_takes_no_words_and_no_inner_address",
            f"{SP}test_terms.py::test_open_web_is_asked_by_name",
            f"{CP}policy/test_policy_street.py::test_open_web_is_counted_by_address_too",
            f"{CP}pipeline/test_terms.py::test_open_web_is_read_without_the_agents_words",
        ),
        reason="what a granted host is told cannot be judged; documented",
    ),
    Attack(
        number=61,
        attack="the machine's clock steps, by itself or by somebody who is asked for the time",
        safe="certificates are made for the new time; neither quotas nor deadlines come back with the old one",
        tests=(
            f"{SP}test_faults.py::test_clock_that_is_set_right_breaks_no_tunnel",
            f"{CP}policy/test_quotas.py::test_clock_that_steps_back_gives_nothing_again",
        ),
    ),
)

INTRODUCTION = """# Attacks on the credential proxy, and what comes of them

The attacker is code in a container with a valid task, or the server that it talks to. Each attack is played over real
sockets, against the whole proxy, with a secret that may arrive at the granted server and nowhere else: not at another
host, not at the agent, not in a log, a database, a copy of one, or a core file. Paths are compared with how nginx,
Apache, lighttpd, Caddy and Tomcat read them. The tests are in `tests/security/proxy`, whose table this is.

| | what is tried | what happens |
|---|---|---|"""


def as_document() -> str:
    """Return the table as docs/attacks.md has it: `python -m tests.security.proxy.attacks > docs/attacks.md`."""
    lines = [INTRODUCTION]
    for attack in ATTACKS:
        safe = f"{attack.safe} ({attack.reason})" if attack.reason else attack.safe
        lines.append(f"| {attack.number} | {attack.attack} | {safe} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_document(), end="")
