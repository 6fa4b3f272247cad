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

[TCP_CHECK < set_connection set_scheduling]
close_reset        | [BOOL]            | on           |          | own | End the connection with a reset, which leaves no port in TIME_WAIT

[PING_CHECK < set_connection set_scheduling]

[HTTP_GET < set_connection set_scheduling]
nb_get_retry       | N                 |              |          | =retry | -
virtualhost        | STRING            | of the server |         | yes | Host header
http_protocol      | 1.0|1.0C|1.1      | 1.0          |          | yes | HTTP version; 1.0C adds Connection: close
enable_sni         | [BOOL]            | off          |          | -   | Send the host name in TLS
sni_name           | STRING            |              |          | - @2.4.4 | Host name to send in TLS
close_reset        | [BOOL]            | on           |          | own | End the connection with a reset, which leaves no port in TIME_WAIT
fast_recovery      | [BOOL]            | off          |          | yes | A server with several URLs comes up without waiting between them
url                | {url}             |              |          | yes | What is asked for; several are taken in turn

[SSL_GET < set_connection set_scheduling]
nb_get_retry       | N                 |              |          | =retry | -
virtualhost        | STRING            | of the server |         | -   | Host header
http_protocol      | 1.0|1.0C|1.1      | 1.0          |          | -   | HTTP version; 1.0C adds Connection: close
enable_sni         | [BOOL]            | off          |          | -   | Send the host name in TLS
sni_name           | STRING            |              |          | - @2.4.4 | Host name to send in TLS
fast_recovery      | [BOOL]            | off          |          | -   | A server with several URLs comes up without waiting between them
tls_compliant      | [BOOL]            | off          |          | - @2.2.8 | End TLS properly
url                | {ssl_url}         |              |          | -   | What is asked for

[url]
path               | PATH              | /            |          | yes | Path of the request
digest             | MD5               |              |          | yes | MD5 of the body
status_code        | CODE[-CODE]...    | 200-299      |          | yes | Accepted status codes and ranges
virtualhost        | STRING            | of the check |          | yes | Host header
regex              | REGEX             |              |          | -   | The body must match
regex_no_match     | -                 | off          |          | -   | The body must not match
regex_options      | WORD...           |              |          | -   | How the expression is read
regex_min_offset   | N                 |              |          | -   | A match begins here or later
regex_max_offset   | N                 |              |          | -   | A match begins before this
regex_stack        | N N               |              |          | -   | Memory of the expression

[ssl_url < url]
tls_compliant      | [BOOL]            | off          |          | - @2.2.8 | End TLS properly

[SMTP_CHECK < set_connection set_scheduling]
helo_name          | STRING            |              |          | -   | Name given to the mail server
host               | {smtp_host}       |              |          | -   | Older way to give the connection

[smtp_host < set_connection set_scheduling]

[DNS_CHECK < set_connection set_scheduling]
type               | TYPE              | SOA          |          | yes | Record type to ask for: A NS CNAME SOA MX TXT AAAA RRSIG DNSKEY
name               | NAME              | .            |          | yes | Name to ask for

[UDP_CHECK < set_connection set_scheduling]
payload            | HEX...            | a short text |          | yes | What is sent
require_reply      | [HEX...]          | off          |          | yes | There must be an answer, and it begins so; x is any digit
min_reply_length   | N                 | 0            | 0..65535 | yes | Least length of the answer
max_reply_length   | N                 | 65535        | 0..65535 | yes | Greatest length of the answer

[MISC_CHECK < set_scheduling]
misc_path          | CMD               |              |          | -   | The command; quote the whole of it to give it arguments
misc_timeout       | s                 | delay_loop   |          | -   | How long it may take
misc_dynamic       | [BOOL]            | off          |          | -   | Its exit status sets the weight
user               | USER [GROUP]      | script_user  |          | -   | Who runs it

[FILE_CHECK]
track_file         | NAME              |              |          | -   | The tracked file
weight             | N [reverse]       | of the file  |          | -   | Times the number in the file is added to the weight

[BFD_CHECK]
name               | NAME              |              |          | -   | The BFD session
alpha              | [BOOL]            | off          |          | -   | The server starts down

[SSL]
password           | STRING            |              |          | -   | Password of the key
ca                 | PATH              |              |          | -   | Certificates of authorities
certificate        | PATH              |              |          | -   | Own certificate
key                | PATH              |              |          | -   | Own key
"""  # noqa: E501
