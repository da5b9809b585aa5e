#!/usr/bin/env python3
"""calque exec from outside: exit statuses, one sentence for each thing that is wrong, input that means harm."""
import json
import os
import subprocess
import sys
import tempfile

calque, cases_folder = sys.argv[1:]
folder = tempfile.TemporaryDirectory()
failed = 0

PASS = '{"name": "p", "mode": "long64", "initial": {"mem": [["0x0", "ffc0"]]}, "final": {"regs": {"eax": "0x1"}}}'
DIFFER = '{"name": "d", "mode": "long64", "initial": {"mem": [["0x0", "ffc0"]]}, "final": {"regs": {"eax": "0x2"}}}'
BROKEN = '{"name": "b", "mode": "long64", "initial": {"regs": {"zax": "0x1"}}}'


def check(what, good, *more):
    global failed
    if not good:
        failed += 1
        print("FAILED:", what, *more)


def path(name, content):
    p = os.path.join(folder.name, name)
    with open(p, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    return p


def run(*arguments, stdin=""):
    data = stdin if isinstance(stdin, bytes) else stdin.encode()
    r = subprocess.run([calque, "exec", *arguments], input=data, capture_output=True, timeout=120)
    return r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")


def unusable(what, *arguments, names="", stdin=""):
    status, out, err = run(*arguments, stdin=stdin)
    check(what, status == 2 and err.startswith("calque: ") and err.count("\n") == 1 and names in err and len(err) < 400, status, out, err)


# ---- exit status
check("all pass", run(path("p", PASS))[0] == 0)
check("some differ", run(path("d", PASS + "\n" + DIFFER))[0] == 1)
status, out, err = run(path("b", PASS + "\n" + BROKEN + "\n" + DIFFER + "\n" + PASS))
check("a broken case names its file, line and field and stops no other", status == 2 and "/b:2: initial.regs.zax: " in err and "2 pass, 1 differ, 1 cannot" in out, out, err)
check("what differs is shown", "/b:3: d differs\n" in out and "eax is 0x1, expected 0x2" in out, out)
check("several files, and standard input", run(path("p", PASS), "-", stdin=PASS)[:2] == (0, "2 cases: 2 pass, 0 differ, 0 cannot be used\n"))
for engine in ("interp", "jit", "all"):
    check(engine, run("-", "--engine", engine, stdin=PASS)[0] == 0)
    check(engine, run("-", "--engine=" + engine, stdin=DIFFER)[0] == 1)

check("optimisations off", run("-", "--engine", "jit", "--jit-disable", "dead_flags,fold", stdin=PASS)[0] == 0)

# ---- usage
check("help", run("--help")[0] == 0 and "calque exec FILE" in run("--help")[1])
general = subprocess.run([calque, "--help"], capture_output=True, text=True).stdout
check("the general help names it", "calque exec" in general)
unusable("no file", names="file")
unusable("an unknown option", "--fast", "-", names="--fast")
unusable("an unknown optimisation", "--jit-disable=fold,gravity", "-", names="gravity")
unusable("no optimisation", "--jit-disable", names="--jit-disable")
unusable("an unknown engine", "--engine", "vapour", "-", names="vapour")
unusable("an engine that is not named", "-", "--engine", names="--engine")
unusable("a file that is not there", folder.name + "/none", names="/none")
unusable("a folder", folder.name, names=folder.name)
unusable("an empty file", path("empty", ""), names="/empty")
unusable("an empty array", "-", stdin="[]", names="standard input")

# ---- what is printed
status, out, err = run("--json", "-", stdin="[" + PASS + ",\n" + DIFFER + ", " + BROKEN + "]")
lines = [json.loads(line) for line in out.splitlines()]
check("an object for each case", [line["name"] for line in lines] == ["p", "d", "b"] and [line["pass"] for line in lines] == [True, False, False], out)
check("the final state and the count", lines[0]["final"]["regs"]["rax"] == "0x1" and lines[0]["instructions"] == 1)
check("the difference", lines[1]["differences"] == [{"engine": "interp", "what": "eax", "expected": "0x2", "actual": "0x1"}], lines[1])
check("the error", "zax" in lines[2]["error"] and err.count("\n") == 1, lines[2])
status, out, err = run("-", stdin='{"mode": "real16", "initial": {"mem": [["0x0", "a20010"]]}}')
check("without expectation the state is printed", status == 0 and "RIP=0000000000000003" in out, out)
check("the trace", "adc eax, 0x30" in run("--trace", "-", stdin='{"mode": "long64", "initial": {"mem": [["0x0", "1530000000"]]}}')[1])
status, out, err = run("--trace", "--json", "-", stdin=PASS)
check("the trace keeps out of JSON", json.loads(out)["pass"] and "inc eax" in err, out, err)
check("a pipe that closes is no crash", subprocess.run(f"yes '{DIFFER}' | head -100000 | {calque} exec - | head -1", shell=True, capture_output=True).returncode == 0)
with open("/dev/full", "w") as full:
    r = subprocess.run([calque, "exec", path("p", PASS)], stdout=full, stderr=subprocess.PIPE)
    check("a full disk", r.returncode == 2 and b"cannot write" in r.stderr, r)

# ---- the host's own processor
hosts = [os.path.join(cases_folder, f) for f in os.listdir(cases_folder)]
status, out, err = run("--engine", "host", *hosts)
if "--engine host needs" not in err and "does not lend" not in err and "mmap_min_addr" not in err:
    check("the host agrees where it can", " 0 differ" in out and int(out.split()[2]) >= 100, out)
    refused = [line for line in err.splitlines() if "the host's processor cannot run this: " not in line]
    check("and says why where it cannot", not refused, refused)
unusable("no real mode", "--engine", "host", "-", stdin='{"mode": "real16", "final": {}}', names="host")
unusable("no trace", "--engine", "host", "--trace", "-", names="--trace")
status, out, err = run("--engine", "host", "-", stdin=PASS + '{"mode": "long64", "steps": 9, "initial": {"mem": [["0x0", "900f05"]]}, "final": {}}' + PASS)
check("nothing reaches the kernel", status == 2 and err.count("\n") in (1, 3), out, err)

# ---- harm
unusable("deep arrays", "-", stdin='{"mode": "long64", "name": ' + "[" * 1_000_000 + "]" * 1_000_000 + "}", names="name")
unusable("deep objects that do not end", "-", stdin='{"a":' * 1_000_000, names=":1:")
unusable("a long number", "-", stdin='{"mode": "long64", "initial": {"regs": {"rax": "0x' + "1" * 1_000_000 + '"}}}', names="initial.regs.rax")
unusable("zero bytes", "-", stdin=b"\0" * 1_000_000)
status, out, err = run("-", stdin=os.urandom(200_000))
check("noise", status == 2 and all(line.startswith("calque: standard input:") for line in err.splitlines()))
status, out, err = run("-", stdin='{"mode": "long64", "steps": 1000000, "initial": {"mem": [["0x0", "ebfe"]]}, "final": {"regs": {"rip": "0x0"}}}')
check("an endless loop ends with its steps", status == 0, out, err)
unusable("steps without end", "-", stdin='{"mode": "long64", "steps": "0xffffffffffffffff"}', names="steps")
many = "\n".join('{"mode": "long64", "cpu": "max,-%s", "final": {}}' % f for f in ("adx,-movbe", "rdpid", "monitor", "rdrand", "rdseed") * 8)
check("many models", run("-", stdin=many)[0] == 0)

# ---- many cases in one file
cases = "".join('{"name": "%d", "mode": "long64", "initial": {"regs": {"rip": "0x1000", "rax": "0x%x"}, "mem": [["0x1000", "83c001"]]}, "final": {"regs": {"rax": "0x%x"}}}\n'
                % (i, i, i + 1) for i in range(20_000))
for engine in ("interp", "jit"):
    status, out, err = run("-", "--engine", engine, stdin=cases)
    check(f"20,000 cases on {engine}", status == 0, status, err)

sys.exit(failed != 0)
