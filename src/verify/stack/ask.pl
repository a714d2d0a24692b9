use strict; $| = 1;
sub now { open(my $f, "<", "/proc/uptime") or return time; my ($u) = split(/ /, <$f>); return $u }
my $start;
sub say_at { my ($kind, $text) = @_; $text =~ tr/\r\n//d; printf("%s %.2f %s\n", $kind, now() - $start, substr($text, 0, 65536)) }
sub filled { my ($text) = @_;
  $text =~ s{\@file:([^\s@]+)\@}{ my $v = ""; if (open(my $f, "<", $1)) { local $/; $v = <$f>; $v =~ s/\s+\z// } $v }ge;
  $text =~ s{\@env:([^\s@:]+):(\w+)\@}{ my ($p, $n, $v) = ($1, $2, ""); if (open(my $f, "<", $p)) { while (<$f>) { if (/^$n=(.*)$/) { $v = $1; $v =~ s/^(["\x27])(.*)\1$/$2/ } } } $v }ge;
  return $text }
sub wave { my $n = 16000; my $d = ""; for my $i (0 .. $n - 1) { $d .= pack("v", int(8000 * sin($i * 0.17)) & 65535) }
  return "RIFF" . pack("V", 36 + length($d)) . "WAVEfmt " . pack("VvvVVvv", 16, 1, 1, 16000, 32000, 2, 16) . "data" . pack("V", length($d)) . $d }
while (@ARGV >= 9) {
  my ($key, $host, $port, $method, $path, $limit, $until, $sample, $head) = splice(@ARGV, 0, 9); my $body = shift(@ARGV);
  $start = now(); print("> $key\n");
  my ($code, $why, $gpu, $pid) = (0, "");
  $body =~ s/\@wave\@/wave()/e; $head = filled($head);
  my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Timeout => 5);
  if (!$s) { $why = "$@"; $code = 1 } else {
    if ($sample) { $pid = open($gpu, "-|"); if (defined($pid) && !$pid) { while (1) { system("nvidia-smi", split(/ /, $sample)); select(undef, undef, undef, 0.2) } } }
    my $long = length($body) ? "Content-Length: " . length($body) . "\r\n" : "";
    print $s "$method $path HTTP/1.1\r\nHost: $host:$port\r\nConnection: close\r\n$long$head\r\n$body"; $s->flush;
    my ($in, $out, $mode, $left, $line, $kept, $ended) = ("", "", 0, -1, "", 0, 0);
    while (!$ended) {
      my $rest = $limit - (now() - $start); if ($rest <= 0) { $code = 2; $why = "it took longer than $limit s"; last }
      my $r = ""; vec($r, fileno($s), 1) = 1; vec($r, fileno($gpu), 1) = 1 if $gpu;
      next unless select($r, undef, undef, $rest < 1 ? $rest : 1) > 0;
      if ($gpu && vec($r, fileno($gpu), 1)) { my $g = ""; if (sysread($gpu, $g, 65536)) { say_at("g", $_) for split(/\n/, $g) } else { close($gpu); undef $gpu } }
      next unless vec($r, fileno($s), 1);
      my $n = sysread($s, $in, 65536, length($in)); $ended = 1 unless $n;
      while (length($in) || $ended) {
        if ($mode == 0) { last unless $in =~ s/\A(.*?)\r?\n\r?\n//s; my @h = split(/\r?\n/, $1); say_at("h", $h[0]);
          for (@h) { $mode = 2 if /^transfer-encoding:.*chunked/i; $left = $1 if /^content-length:\s*(\d+)/i; say_at("k", $_) if /^(retry-after|x-ratelimit[^:]*):/i }
          if ($mode != 2) { $mode = 1 } next }
        if ($mode == 1) { $out .= $in; $left -= length($in) if $left >= 0; $in = ""; $ended = 1 if $left == 0 }
        elsif ($mode == 2) { last unless $in =~ s/\A\r?\n?([0-9a-fA-F]+)[^\n]*\n//; $left = hex($1); if ($left == 0) { $ended = 1; $in = "" } else { $mode = 3 } next }
        elsif ($mode == 3) { my $part = substr($in, 0, $left, ""); $left -= length($part); $out .= $part; $mode = 2 if $left == 0; }
        while ($out =~ s/\A([^\n]*)\n//) { my $l = $1; next unless length($l); $kept += length($l); say_at("b", $l) if $kept < 1048576; if (length($until) && index($l, $until) >= 0) { $ended = 1; $out = "" } }
        last if $ended || !length($in);
      }
    }
    say_at("b", $out) if length($out) && $kept < 1048576;
    close($s);
    if ($pid) { kill("TERM", $pid); close($gpu) if $gpu; waitpid($pid, 0) }
  }
  $why =~ tr/\r\n/  /; printf("< %s %d %.2f %s\n", $key, $code, now() - $start, $why);
}
