#!/usr/bin/perl
# Serves the files of one folder over HTTP: perl serve.pl <folder> <port>.
use strict;
use warnings;
use IO::Socket::INET;

my ($folder, $port) = @ARGV;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 16, ReuseAddr => 1) or die "port $port: $!\n";
$SIG{TERM} = $SIG{INT} = sub { exit 0 };

while (my $client = $server->accept) {
  my ($path) = (<$client> // '') =~ m{^GET (/[\w./-]*)};
  while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
  $path = '/index.html' if defined $path && $path eq '/';
  if (defined $path && $path !~ /\.\./ && open my $file, '<:raw', "$folder$path") {
    my $content = do { local $/; <$file> };
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n",
      'Content-Length: ', length $content, "\r\n\r\n", $content;
  } else {
    print $client "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  }
  close $client;
}
