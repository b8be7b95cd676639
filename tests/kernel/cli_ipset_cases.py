"""Command lines of ipset for every option and every error that a user can bring about, by what they are about.

Knows: what to type. Must not know: what comes of it: ipset says that (`test_cli_ipset`).

`FILES` are texts for `restore`, `SESSIONS` for the interactive mode.
"""

from __future__ import annotations

__all__ = ["CASES", "FILES", "SESSIONS", "SETS"]

#: Sets that texts and sessions find.
SETS = """\
create s hash:ip timeout 0 comment initval 1
create p hash:ip,port initval 1
create q bitmap:port range 5-10
create n hash:net initval 1
create l list:set
add n 10.0.0.0/8
add n 10.1.0.0/16 nomatch
add s 1.0.0.1 comment "one two"
"""

CASES: dict[str, str] = {
    "create": """
create a hash:ip initval 1
create a hash:ip
-! create a hash:ip initval 1
-exist create a hash:ip maxelem 5
create b bitmap:ip
create c hash:foo
create
create x
n d iphash --hashsize 100 initval 1
-N e macipmap range 1.1.1.0/24 counters
create f setlist size 3
create g hash:ip comment skbinfo counters forceadd timeout 0 initval 1
create h hash:ip -4 initval 1
create i hash:ip -6 initval 1
create j hash:ip family inet6 netmask 64 initval 1
create k hash:ip family foo
create k hash:ip family any
create k hash:ip family unspec
create k hash:ip -4 -6
create k hash:ip family inet family inet
create k hash:ip hashsize
create k hash:ip hashsize x
create k hash:ip hashsize 4 hashsize 5
create k hash:ip hashsize 4294967295 initval 1
create k hash:ip hashsize 4294967296
create k hash:ip netmask 33
create k hash:ip netmask 0
create k hash:ip netmask 24 bitmask 255.0.0.0
create k hash:ip bitmask 255.0.0.0 netmask 24
create k hash:ip bitmask 0.0.0.0
create k hash:ip bitmask x
create k hash:ip family inet6 bitmask 1.2.3.4
create k hash:ip family inet6 bitmask 1.0.0.0/8
create k hash:ip bitmask 255.255.0.0/32 initval 1
create m hash:ip bucketsize 300
create m hash:ip bucketsize 1 initval 1
create o hash:ip maxelem 0 initval 1
create r hash:ip timeout 99999999
create r hash:ip timeout 08
create r hash:ip timeout 0x
create r hash:ip timeout -1
create r hash:ip timeout ''
create r hash:ip timeout 99999999999999999999999
create r hash:ip timeout 99999999999999999999999x
create r hash:ip timeout 0x10 initval 010
create 12345678901234567890123456789012 hash:ip
create 1234567890123456789012345678901 hash:ip initval 1
create r 12345678901234567890123456789012
create r hash:ip comment comment
create t iptreemap
create t hash:ip probes 4 resize 50 initval 1
create u hash:ip,port from 1.1.1.1 to 1.1.1.5 initval 1
create v hash:ip,port network 1.1.1.0/24 initval 1
create w hash:ip gc 5 gc 6 initval 1
create x hash:ip foo
create x hash:ip initval 1 probes
list -s
save -s
""",
    "create bitmaps": """
create a bitmap:port range 5-1
create b bitmap:port range 1-70000
create b bitmap:port range udp:domain-80
create c bitmap:port range icmp:1
create d bitmap:port from 5 to 10
create e bitmap:port from http to 10
create f bitmap:port from foo to 10
create f bitmap:port from 5
create f bitmap:port range 5
create g bitmap:ip range 1.1.1.1
create g bitmap:ip range 1.1.1.0/8
create g bitmap:ip from 1.1.1.1
create g bitmap:ip to 1.1.1.1
create h bitmap:ip family inet6 range 1.1.1.1/24
create i bitmap:ip network 1.1.1.0/24
create j bitmap:ip network 1.1.1.0
create k bitmap:ip from 1.1.1.0 to 1.1.2.0 netmask 30
create k bitmap:ip range 1.1.1.0-1.1.2.0 from 1.1.1.1
create l bitmap:ip range 1.1.0.0/16 netmask 24
create m bitmap:ip range 1.1.0.0-1.1.0.255 timeout 90 comment
create n bitmap:ip range [1.1.0.0]-[1.1.0.255]
create o bitmap:ip range 1.1.0.0/24-1.1.0.3
create p bitmap:ip range 1.1.0.0/33
create p bitmap:ip,mac range 1.1.0.0/24 forceadd
list
save
-o xml list
""",
    "addresses": """
create s hash:ip initval 1 skbinfo
add s 1.1.1
add s 010.1.1.1
add s 0x7f.1
add s 1.1.1.1/33
add s 1.1.1.1/0
add s 1.1.1.1/32
add s 1.1.1.1/x
add s 0.0.0.0
add s 1.1.1.1-1.1.1.0
add s 2.1.1.0/30
add s 3.1.1.1-3.1.1.3
add s 3.1.1.3-3.1.1.5
-! add s 3.1.1.3-3.1.1.5
add s [1.1.1.1
add s [1.1.1.1]x
add s [4.1.1.1]-[4.1.1.3]
add s [4.1.1.1]-4.1.1.9
add s 4.1.1.1-
add s -4.1.1.1
add s localhost
add s no-such-host
add s no-such.invalid
add s '1.1.1.1 '
add s ::1
add s 1.1.1.1,2
add s ''
del s 2.1.1.0/30
del s 2.1.1.0
-! del s 2.1.1.0
test s 3.1.1.1-3.1.1.2
test s 3.1.1.0/24
test s 3.1.1.1/32
test s 9.9.9.9
-q test s 9.9.9.9
-q test s 3.1.1.1
create t hash:ip family inet6 initval 1
add t ::1
add t 2001:DB8::1/128
add t 2001:db8::/64
add t ::1-::2
add t 1.1.1.1
add t ::
add t [::2]
add t ::ffff:1.2.3.4
test t ::1
test t ::3
list -s
list -r s
list -s -r s
save -s
-o xml -s list
""",
    "nets": """
create n hash:net initval 1
add n 10.1.2.3/8
add n 10.0.0.1-10.0.0.10
add n 10.0.0.0/0
add n 0.0.0.0-255.255.255.255
add n 1.2.3.4 nomatch
add n 1.2.3.4/32
add n 1.2.3.4 nomatch nomatch
test n 10.0.0.5
test n 10.0.0.5/24
test n 10.0.0.1-10.0.0.2
test n 1.2.3.4 nomatch
test n 1.2.3.4
del n 10.0.0.1-10.0.0.10
del n 10.0.0.0/8 nomatch
create m hash:net family inet6 initval 1
add m 2001:db8::/32
add m 2001:db8::1
add m 2001:db8::1-2001:db8::2
add m ::/0
list -s
save -s
""",
    "ports": """
create p hash:ip,port initval 1
add p 1.1.1.1,80
add p 1.1.1.1,tcp:80
add p 1.1.1.1,foo
add p 1.1.1.1,foo:1
add p 1.1.1.1,icmp:xx
add p 1.1.1.1,4:5
add p 1.1.1.1,99999
add p 1.1.1.1,256:0
add p 1.1.1.1,-1:0
add p 1.1.1.1,0x6:81
add p 1.1.1.1,6x:80
add p 1.1.1.1,' 6:82'
add p 1.1.1.1,06:83
add p 1.1.1.1,TCP:84
add p 1.1.1.1,TCP:http
add p 1.1.1.1,Tcp:http
add p 1.1.1.1,ip:0
add p 1.1.1.1,hopopt:0
add p 1.1.1.1,0:0
add p 1.1.1.1,0:5
add p 1.1.1.1,255:0
add p 1.1.1.1,6:http
add p 1.1.1.1,17:domain
add p 1.1.1.1,http
add p 1.1.1.1,udp:http
add p 1.1.1.1,tcp:[http
add p 1.1.1.1,tcp:[ftp-data]-[http]
add p 1.1.1.1,tcp:ftp-data
add p 1.1.1.1,tcp:5-foo
add p 1.1.1.1,tcp:foo-5
add p 1.1.1.1,1:8/0
add p 1.1.1.1,ICMP:ping
add p 1.1.1.1,ICMPV6:0
add p 1.1.1.1,sctp:http
add p 1.1.1.1,132:5
add p 1.1.1.1,udplite:7
add p 1.1.1.1,gre:0
add p 1.1.1.1,47:00
add p 1.1.1.1,tcp:
add p 1.1.1.1,:80
add p 1.1.1.1,tcp:-
add p 1.1.1.1,tcp:80-
add p 1.1.1.1,-80
add p 1.1.1.1,80-90-100
add p 1.1.1.1,tcp:80-70
-! add p 1.1.1.1,tcp:80-70
add p 1.1.1.1,icmp:255/255
add p 1.1.1.1,icmp:256/1
add p 1.1.1.1,icmp:1/
add p 1.1.1.1,icmp:1/x
add p 1.1.1.1,icmp:echo-reques
add p 1.1.1.1,icmp:Echo-Reply
add p 1.1.1.1,icmp:any
add p 1.1.1.1
add p 1.1.1.1,80,4
add p 2.1.1.0/31,udp:5-6
add p 0.0.0.0,80
test p 1.1.1.1,80
test p 1.1.1.1,icmp:echo-request
test p 1.1.1.1,icmp:3/77
test p 1.1.1.1,255:0
test p 1.1.1.1,80-90
test p 1.1.1.0/24,80
del p 1.1.1.1,icmpv6:1/1
create t hash:ip,port family inet6 initval 1
add t ::1,icmp:echo-request
add t ::1,icmpv6:echo-request
test t ::1,icmpv6:1/1
add t ::1/64,80
add t ::1/128,80
add t ::1-::2,80
list -s
save -s
-o xml -s list
""",
    "three parts": """
create a hash:ip,port,ip initval 1
add a 1.1.1.1,80,2.2.2.2
add a 1.1.1.1,80
add a 1.1.1.1
add a 1.1.1.1,80,2.2.2.2,3
add a 1.1.1.1,80,2.2.2.0/24
add a 1.1.1.1,80,2.2.2.2/32
add a 1.1.1.0/31,80-81,2.2.2.2
test a 1.1.1.1,80,2.2.2.2
test a 1.1.1.1,80,2.2.2.2/32
create b hash:ip,port,net initval 1
add b 1.1.1.1,80,2.2.2.0/24
add b 1.1.1.1,80,2.2.2.0/0
add b 1.1.1.1,80,2.2.3.1-2.2.3.9
add b 1.1.1.1,udp:80,2.2.2.0/24 nomatch
test b 1.1.1.1,80,2.2.2.5
test b 1.1.1.1,80,2.2.2.5/24
test b 1.1.1.1,80,2.2.2.5-2.2.2.7
test b 1.1.1.1,udp:80,2.2.2.5 nomatch
create c hash:net,port initval 1
add c 1.1.1.0/24,80
add c 1.1.1.0-1.1.1.2,80-82
test c 1.1.1.5,80
del c 1.1.1.0/24,80
list -s
save -s
""",
    "options of elements": """
create s hash:ip timeout 0 counters comment skbinfo initval 1
add s 1.1.1.1 comment 'a"b'
add s 1.1.1.1 comment 'a b' packets 5 bytes 6 timeout 5000 skbmark 0x5/0x6 skbprio 1:2 skbqueue 5
add s 1.1.1.2 packets 18446744073709551615
add s 1.1.1.2 packets 18446744073709551614 bytes 0x10
add s 1.1.1.3 timeout
add s 1.1.1.3 timeout 2147484
add s 1.1.1.3 timeout 2147483
add s 1.1.1.4 --timeout 5000
add s 1.1.1.5 timeout 5 timeout 6
add s 1.1.1.5 foo
add s 1.1.1.5 nomatch
add s 1.1.1.6 comment ''
add s 1.1.1.7 comment {long}
add s 2.1.1.1 skbmark 1
add s 2.1.1.1 skbmark 0
add s 2.1.1.1 skbmark 0x0
add s 2.1.1.2 skbmark 0x5/7
add s 2.1.1.3 skbmark 0x0x5
add s 2.1.1.4 skbmark 0x1/0x2foo
add s 2.1.1.5 skbmark 0x123456789
add s 2.1.1.6 skbmark 0x-1
add s 2.1.1.7 skbprio 1
add s 2.1.1.7 skbprio foo:1
add s 2.1.1.7 skbprio 1:2:3
add s 2.1.1.8 skbprio 12345:1
add s 2.1.1.9 skbprio -1:0x2
add s 2.1.2.1 skbqueue 70000
add s 2.1.2.1 skbqueue 65535
add s 2.1.2.2 comment -q
add s 2.1.2.3 comment ünï
del s 1.1.1.1 timeout 5
test s 1.1.1.1 timeout 5
create t hash:ip initval 1
add t 1.1.1.1 timeout 5
add t 1.1.1.1 packets 5
add t 1.1.1.1 comment x
add t 1.1.1.1 skbmark 0x1
create u hash:ip maxelem 1 initval 1
add u 1.1.1.1
add u 1.1.1.2
list -s
save -s
-o xml -s list
""",
    "bitmaps": """
create bp bitmap:port range 5-10 counters
add bp udp:domain
add bp udp:7
add bp 8-9 packets 5
test bp 7
test bp tcp:7
test bp tcp:9-10
add bp foo:3
add bp sctp:7
add bp gre:0
del bp 7
create bi bitmap:ip range 1.1.1.0/24
add bi 1.1.1.0/30
add bi 1.1.1.9-1.1.1.11
add bi 1.1.2.1
test bi 1.1.1.9
test bi 1.1.1.9-1.1.1.10
test bi 1.1.1.8/30
create bm bitmap:ip,mac range 1.1.1.0/24
add bm 1.1.1.1
add bm 1.1.1.2,00:11:22:33:44:55
add bm 1.1.1.3,0:1:2:3:4:5
add bm 1.1.1.4,1::2:3:4:5
add bm 1.1.1.5,1:2:3:4:5
add bm 1.1.1.5,1:2:3:4:5:6:7
add bm 1.1.1.5,000:11:22:33:44:55
add bm 1.1.1.5,100:1:1:1:1:1
add bm 1.1.1.5,g:1:1:1:1:1
add bm 1.1.1.2/32
add bm 1.1.1.2-1.1.1.3
add bm 1.1.1.6,00:11:22:33:44:55,4
test bm 1.1.1.2,00:11:22:33:44:55
test bm 1.1.1.2,00:11:22:33:44:56
test bm 1.1.1.2
list
save
-o xml list
""",
    "lists": """
create a hash:ip initval 1
create b hash:ip initval 1
create c hash:ip initval 1
create l list:set timeout 0 comment
add l a,before,b
add l a
add l b before a
add l c,after,a
test l b before a
test l b
test l a after b
test l c before a
add l a,foo,b
add l a,b
add l a before b after b
add l l
add l nope
add l 12345678901234567890123456789012
add l a before 12345678901234567890123456789012
del l a before nope
-! add l b timeout 5000 comment x
del l c
x a
destroy
rename a z
flush l
rename a z
list
save
""",
    "names and commands": """
create a hash:ip initval 1
create b hash:net initval 1
create c hash:ip,port initval 1
add a 1.1.1.1
swap a b
swap a zz
swap zz a
swap a c
swap a
swap
w a a
-W a a
sw a a
rename a b
rename a a
rename zz y
e a d
-E d a
ren a 12345678901234567890123456789012
rename 12345678901234567890123456789012 a
flush zz
-F a
f
destroy zz
-! destroy zz
destroy a b
destroy zz zz
x b
-X c
list zz
list a b
save zz
-L
l
-S a
s
-n
q
quit
foo
''
--
---
--foo
-exist
--exist create z hash:ip initval 1
-quiet list nope
--quiet list nope
version x y
-v
-V
--version
--v
add zz 1
add
add a
add a 1.1.1.1 x
test zz 1
del zz 1
-o
-o foo
-o json list
-f
list -f
restore x
-output plain save
-output save list
-o xml list -t
-o xml list -n
-o xml save -n
-o save list -n
-o save list -t
-o plain save -t
-o plain save -n
-t list
-n list
-t -n list
-name list a
-terse list a
--name list
-sorted list
-resolve list
-r -s -t list
d
de
c
cr x
re a b
r
""",
    "help": """
help
-h
-H
help iphash
help nope
-q help
-q help nope
help hash:ip x
help list:set
help hash:mac
help hash:ip,mac
help hash:net,iface
help hash:net,port
help hash:net,port,net
help hash:net,net
help hash:net
help hash:ip,port,net
help hash:ip,port,ip
help hash:ip,mark
help hash:ip,port
help hash:ip
help bitmap:port
help bitmap:ip,mac
help bitmap:ip
""",
    "types that not every kernel has": """
create a hash:ip,mark initval 1 markmask 0xff00
add a 1.1.1.1,0x1234
add a 1.1.1.1,x
add a 1.1.1.1,4294967296
add a 1.1.1.1
add a 1.1.1.0/31,5
test a 1.1.1.1,0x1234
test a 1.1.1.0-1.1.1.1,5
create a2 hash:ip,mark markmask 0
create b hash:mac initval 1
add b 00:11:22:33:44:55
add b 00:00:00:00:00:00
add b 1.1.1.1
test b 0:11:22:33:44:55
create b2 hash:mac family inet
create c hash:ip,mac initval 1
add c 1.1.1.1,00:11:22:33:44:55
add c 1.1.1.1
add c 1.1.1.1/24,00:11:22:33:44:55
add c 1.1.1.1-1.1.1.2,00:11:22:33:44:55
test c 1.1.1.1,00:11:22:33:44:55
create d hash:net,net initval 1
add d 1.1.1.0/24,2.2.2.0/24
add d 1.1.1.0-1.1.1.2,2.2.2.0-2.2.2.2
add d 1.1.1.0/0,2.2.2.0/24
add d 1.1.1.0/24,2.2.2.0/24 nomatch
test d 1.1.1.5,2.2.2.5
test d 1.1.1.5,2.2.2.5-2.2.2.7
test d 1.1.1.5-1.1.1.6,2.2.2.5
test d 1.1.1.5/24,2.2.2.5/24
create d2 hash:net,net netmask 24 initval 1
create d3 hash:net,net bitmask 255.255.0.0 initval 1
add d3 1.2.3.4,5.6.7.8
list -s d3
x d3
create e hash:net,port,net initval 1
add e 0.0.0.0/0,80,1.1.1.0/24
add e 1.1.1.0/24,udp:5-6,2.2.2.0/24
add e 1.1.1.0-1.1.1.1,5,2.2.2.0-2.2.2.1
test e 1.1.1.1,80,1.1.1.1
test e 1.1.1.1,80-81,1.1.1.1
create f hash:net,iface initval 1
add f 1.1.1.0/24,eth0
add f 1.1.1.0/24,physdev:eth0
add f 1.1.1.0/24,eth0 nomatch
add f 1.1.2.0/24,eth wildcard
add f 1.1.1.0/24,1234567890123456
add f 1.2.1.0/24,123456789012345
add f 1.1.1.0-1.1.1.9,eth1
add f 0.0.0.0/0,eth0
add f 1.3.1.0/24,physdev:
add f 1.3.1.0/24,physdev:
add f 1.3.2.0/24,physdev: wildcard
add f 1.3.1.0/24,
test f 1.3.1.1,physdev:
del f 1.3.1.0/24,physdev:
del f 1.3.1.0/24,physdev:
test f 1.1.1.1,eth0
test f 1.1.1.1,physdev:eth0
test f 1.1.1.1/24,eth0 nomatch
list -s
save -s
-o xml -s list
""",
}

FILES: tuple[str | bytes, ...] = (
    "add p 1.1.1.1,foo\n",
    "add p 1.1.1.1,http\nadd p 1.1.1.2,udp:domain\n",
    "add p 1.1.1.1,99999\n",
    "add p 1.1.1.1,tcp:[http\n",
    "add p 1.1.1.1,tcp:http-foo\n",
    "add p 1.1.1.1,foo:1\n",
    "add p 1.1.1.1,icmp:256/1\n",
    "add p 1.1.1.1,icmpv6:1\n",
    "add s 1.1.1.1 timeout x\n",
    "add s 1.1.1.1/x\n",
    "create x hash:ip netmask 33\n",
    "create x hash:ip bitmask x\n",
    "create x bitmap:port from foo to 3\n",
    "create x hash:ip -4 -6\n",
    "create x hash:ip foo\n",
    "create x bitmap:ip\n",
    "create x hash:ip probes 4 initval 1\ncreate y hash:ip initval 1\n",
    "add s 1.1.1.1 foo\n",
    "add zz 1.1.1.1\n",
    "add s 1.1.1.1\nadd zz 1.1.1.1\n",
    "foo\n",
    "version\n",
    "help\n",
    "restore\n",
    "quit\nadd s 1.1.1.1\n",
    "-o foo list\n",
    "-o xml list\nadd s 1.1.1.1\n",
    "-\nlist -n\n",
    "add s 1.1.1.1 timeout\n",
    "add s 2.2.2.2\n\nadd s 2.2.2.2\n",
    "add s 3.3.3.3\ncreate p hash:ip\nadd s 3.3.3.4\n",
    "add s 4.4.4.4\nadd s 4.4.4.5\nadd s 4.4.4.5\nlist -n\n",
    "destroy nope\n",
    'add s 5.5.5.5 comment "a b\n',
    'add s 5.5.5.5 comment "a b',
    'add s 5.5.5.6 comment "a b" "c\n\n',
    'add s 5.5.5.7 comment ""\n',
    'add s "5.5.5.8" comment a"b c"d\n',
    "add s 6.6.6.6 -exist\nadd s 6.6.6.6\nadd s 1.0.0.1\n",
    "add s 7.7.7.7\nadd s 7.7.7.7 -exist\n",
    "add s 7.7.7.7\ndel s 7.7.7.7\nadd s 7.7.7.8\ndel s 9.9.9.9\n",
    "COMMIT\nadd s 8.8.8.8\nCOMMIT\r\nadd s 8.8.8.8\n",
    "COMMIT\nadd s 8.8.8.8\nCOMMIT",
    "a s 9.9.9.9\n-A s 9.9.9.8\n --add s 9.9.9.7\n\tadd\ts\t9.9.9.6\n",
    "flush\nadd s 1.1.1.1\r\nadd s 1.1.1.2 \t \n",
    "add s 1.1.1.9 a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d\n",
    "add s 1.1.1.9 a b c d e f g h i j k l m n o p q r s t u v w x y z a\n",
    "test s 1.0.0.1\nadd s 1.1.1.1\n",
    "test s 1.1.1.1\nadd s 1.1.1.1\n",
    "-q test s 1.0.0.1\nadd s 1.1.1.1\nadd s 1.1.1.1\n",
    "add s 1.1.1.1\nlist s\nsave s\nadd s 1.1.1.1\n",
    "add s 1.1.1.1\nflush s\nadd s 1.1.1.1\nrename s t\nadd t 1.1.1.2\nswap t t\nadd s 1.1.1.1\n",
    "create x hash:ip initval 1\nadd x 1.1.1.1\ndestroy x\nadd x 1.1.1.1\n",
    "create x hash:ip initval 1\ncreate y hash:net initval 1\nswap x y\nadd x 10.0.0.0/8\n",
    "create x hash:ip initval 1\ncreate y hash:ip timeout 5 initval 1\nswap x y\nadd x 1.1.1.1 timeout 5000\nadd y 1.1.1.1 timeout 0\n",
    "add l s\nadd l n before s\nadd l q after s\nadd l s\n",
    "add n 10.0.0.0/24\nadd n 10.0.1.0/24 nomatch\nadd n 1.2.3.4\nadd n 1.2.3.4/32\n",
    "add q 5\nadd q udp:6\nadd q 7-8\nadd q 99\n",
    "add q 5\nadd q http\nadd q 99\n",
    "# a comment\n  # another\n\nadd s 1.1.1.1\n",
    b'add s 1.1.1.1 comment "\xff\xfe"\nadd s 1.1.1.2 comment "\xc3\xbc"\nlist s\n',
    b"add s 1.1.1.1\0 foo\nadd s 1.1.1.2\n",
    "add s 1.1.1.1" + " " * 1100 + "\nadd s 1.1.1.2\n",
    "add s 1.1.1.1",
    "",
    "\n",
    "add s 1.1.1.1\nadd p 1.1.1.1,80\nadd s 1.1.1.2\nadd p 1.1.1.1,80\n",
    'add s 1.1.1.1 timeout 5000 comment "x y"\nadd s 1.1.1.2 timeout 2147483\nadd s 1.1.1.3 timeout 2147484\n',
    "-exist\nadd s 1.0.0.1\n",
    "-! add s 1.0.0.1\n-! create s hash:ip timeout 0 comment\n-! destroy nope\nadd s 1.0.0.1\n",
    "del s 1.0.0.1\ndel s 1.0.0.1\n",
    "add s 1.1.1.1\nadd s localhost\nadd s 1.1.1.1\n",
)

SESSIONS: tuple[str, ...] = (
    "",
    "list -n\n",
    'list -n\n\n#x\nfoo\nadd s 1.0.0.1\nadd s 1.0.0.1\ncreate zz bitmap:ip\nsave s\nversion\nhelp foo\nrestore\nadd s 1.1.1.1 "\nquit\nlist\n',
    "-q test s 9.9.9.9\ntest s 1.0.0.1\n",
    "test s 9.9.9.9\ntest s 1.0.0.1\nlist s\nsave s\n",
    "add s 1.1.1.1 timeout 5000 foo\nadd s 1.1.1.1 timeout 5000\nadd s 1.1.1.2 timeout 5000\n",
    "create x hash:ip probes 5 initval 1\nlist -n\n",
    "-o foo list\nlist -n\n",
    "add\nadd s\nlist -o\nlist -f\n-f x -f y\nflush\nsave\n",
    "-exist\nadd s 1.0.0.1\nadd s 1.0.0.1 comment x\nsave s\n",
    'add s 1.1.1.1 comment "a b"\nadd s 1.1.1.2 comment "a b\nq\nlist -n\n',
    "help\nhelp hash:ip\n-\nlist -n\n",
    "x p\ndestroy p\nrename s t\nlist -n\n",
)

CASES["options of elements"] = CASES["options of elements"].format(long="x" * 256)
