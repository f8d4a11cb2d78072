import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../infra/kafka/jvm.js';

const SOURCE = `package main

import (
	"os"
	"syscall"
	"time"
)

//go:noinline
func deep(n int, fd int) int {
	if n == 0 {
		var b [1]byte
		got, _ := syscall.Read(fd, b[:])
		return got
	}
	return deep(n-1, fd) + n
}

func main() {
	go func() { time.Sleep(time.Hour) }()
	from, to, _ := os.Pipe()
	deep(3, int(from.Fd()))
	to.Close()
}
`;

/** A Go program that waits in a read below some calls; gives its path. With `cgo`, the C library makes its threads. */
export const goProgram = (folder: string, cgo: boolean): string => {
  const source = join(folder, `go-${cgo}`);
  mkdirSync(source);
  writeFileSync(join(source, 'main.go'), cgo ? SOURCE.replace('import (', 'import "C"\n\nimport (') : SOURCE);
  writeFileSync(join(source, 'go.mod'), 'module waits\n\ngo 1.19\n');
  const program = join(source, 'go-waits');
  execFileSync('go', ['build', '-o', program, '.'], {
    cwd: source,
    env: {
      ...process.env,
      CGO_ENABLED: cgo ? '1' : '0',
      GOTOOLCHAIN: 'local',
      GOCACHE: cacheFolder('go'),
      GOFLAGS: '-mod=mod',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return program;
};
