"""Health checks."""

FREE = ""

DATA = """
[set_connection]
connect_ip         | ADDR              | the server's |          | yes | Address to check
connect_port       | PORT              | the server's | 1..65535 | yes | Port to check
bindto             | ADDR              |              |          | yes | Own address
bind_port          | PORT              |              | 1..65535 | yes | Own port
bind_if            | IF                |              |          | yes | Own interface
connect_timeout    | SEC               | 5            |          | yes | How long the check may take
fwmark             | N                 | 0            | 0..4294967295 | yes | Mark on the check's packets

[set_scheduling]
retry              | N                 | 1; DNS_CHECK 3 | 0..      | yes | Further failures until the server is down
delay_before_retry | SEC               | 1; HTTP_GET 3; DNS_CHECK delay_loop |       | yes | Time between a failed check and the next
warmup             | SEC               | delay_loop   |          | yes | The first check is within this time
delay_loop         | SEC               | 60           |          | yes | Time between checks
alpha              | [BOOL]            | of the server |         | yes | The server starts down until this check succeeds
log_all_failures   | [BOOL]            | checker_log_all_failures | | yes | Log every failed check
rise               | N                 | of the server | 1..     | own | Successes in a row that a server which is down needs to be up

[TCP_CHECK < set_connection set_scheduling]
close_reset        | [BOOL]            | on           |          | own | End the connection with a reset, which leaves no port in TIME_WAIT

[PING_CHECK < set_connection set_scheduling]

[HTTP_GET < set_connection set_scheduling]
nb_get_retry       | N                 |              |          | =retry | -
virtualhost        | STRING            | of the server |         | yes | Host header
http_protocol      | 1.0|1.0C|1.1      | 1.0          |          | yes | HTTP version; 1.0C adds Connection: close
enable_sni         | [BOOL]            | off          |          | yes | Nothing: there is no TLS here
sni_name           | STRING            |              |          | yes @2.4.4 | Nothing: there is no TLS here
close_reset        | [BOOL]            | on           |          | own | End the connection with a reset, which leaves no port in TIME_WAIT
fast_recovery      | [BOOL]            | off          |          | yes | A server with several URLs comes up without waiting between them
url                | {url}             |              |          | yes | What is asked for; several are taken in turn

[set_sni]
enable_sni         | [BOOL]            | off          |          | yes | Send the host name (virtualhost) in TLS
sni_name           | STRING            |              |          | yes @2.4.4 | Host name to send in TLS instead; enable_sni is not needed

[set_tls]
tls_verify         | [BOOL]            | off          |          | own | The certificate must come from a known authority and be for the right name
tls_verify_name    | NAME              | the name sent, or that of virtualhost | | own | Name or address the certificate must have
tls_ca             | PATH              | ca of SSL, or the system's | | own | Certificates of authorities for tls_verify
tls_expiry_days    | N                 | 0            | 0..36500 | own | Warn, once a day, when the certificate ends in fewer days

[SSL_GET < set_connection set_scheduling set_sni set_tls]
nb_get_retry       | N                 |              |          | =retry | -
virtualhost        | STRING            | of the server |         | yes | Host header
http_protocol      | 1.0|1.0C|1.1      | 1.0          |          | yes | HTTP version; 1.0C adds Connection: close
fast_recovery      | [BOOL]            | off          |          | yes | A server with several URLs comes up without waiting between them
tls_compliant      | [BOOL]            | off          |          | yes @2.2.8 | The server must end TLS properly, with close_notify
http2              | [BOOL]            | off          |          | own | Ask by HTTP/2; a server that does not agree to it has failed
url                | {ssl_url}         |              |          | yes | What is asked for; several are taken in turn

[url]
path               | PATH              | /            |          | yes | Path of the request
digest             | MD5               |              |          | yes | MD5 of the body
status_code        | CODE[-CODE]...    | 200-299      |          | yes | Accepted status codes and ranges
virtualhost        | STRING            | of the check |          | yes | Host header
regex              | REGEX             |              |          | yes | The body must match; quoted like a command, so `\\\\d` is a digit
regex_no_match     | -                 | off          |          | yes | The body must not match
regex_options      | WORD...           |              |          | yes | How the expression is read: words of pcre2api(3), such as caseless
regex_min_offset   | N                 | 0            | 0..      | yes | A match begins at this byte of the body or later
regex_max_offset   | N                 |              | 0..      | yes | A match begins at this byte of the body or before
regex_stack        | N N               |              |          | yes | Nothing: no stack is set aside for expressions

[ssl_url < url]
tls_compliant      | [BOOL]            | of the check |          | yes @2.2.8 | The server must end TLS properly, with close_notify

[SMTP_CHECK < set_connection set_scheduling]
helo_name          | STRING            | this host's name |      | yes | Name given to the mail server
host               | {smtp_host}       |              |          | yes | Older way to give the connection

[smtp_host < set_connection set_scheduling]

[GRPC_CHECK < set_connection set_scheduling set_tls]
service            | NAME              | the server as a whole | | own | Service whose health is asked for
authority          | STRING            | address and port |      | own | The :authority of the call
tls                | [BOOL]            | off          |          | own | Call over TLS
enable_sni         | [BOOL]            | off          |          | own | Send the host name (authority) in TLS
sni_name           | STRING            |              |          | own | Host name to send in TLS instead; enable_sni is not needed

[DNS_CHECK < set_connection set_scheduling]
type               | TYPE              | SOA          |          | yes | Record type to ask for: A NS CNAME SOA MX TXT AAAA RRSIG DNSKEY
name               | NAME              | .            |          | yes | Name to ask for

[UDP_CHECK < set_connection set_scheduling]
payload            | HEX...            | a short text |          | yes | What is sent
require_reply      | [HEX...]          | off          |          | yes | There must be an answer, and it begins so; x is any digit
min_reply_length   | N                 | 0            | 0..65535 | yes | Least length of the answer
max_reply_length   | N                 | 65535        | 0..65535 | yes | Greatest length of the answer

[MISC_CHECK < set_scheduling]
misc_path          | CMD               |              |          | yes | The command; quote the whole of it to give it arguments
misc_timeout       | SEC               | delay_loop   |          | yes | How long it may take
misc_dynamic       | [BOOL]            | off          |          | yes | Its exit status sets the weight
user               | USER [GROUP]      | script_user  |          | yes | Who runs it

[FILE_CHECK]
track_file         | NAME              |              |          | yes | The tracked file
weight             | N [reverse]       | of the file  |          | yes | Times the number in the file is added to the weight

[BFD_CHECK]
name               | NAME              |              |          | yes | The BFD session
alpha              | [BOOL]            | off          |          | yes | The server starts down

[SSL]
password           | STRING            |              |          | yes | Password of the key
ca                 | PATH              |              |          | yes | Certificates of authorities
certificate        | PATH              |              |          | yes | Own certificate
key                | PATH              |              |          | yes | Own key
"""  # noqa: E501
