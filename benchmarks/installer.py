"""What benchmarks that boot Debian's installer share."""
import argparse
import os

IMAGES = "/usr/lib/debian-installer/images/12/{0}/text/debian-installer/{0}/"


def kernel(arch="amd64"):
    """The options that name its kernel and initial RAM disk."""
    return ["--kernel", IMAGES.format(arch) + "linux", "--initrd", IMAGES.format(arch) + "initrd.gz"]


def boot(calque):
    """The same instructions each time; nobody watches."""
    return [calque, "--memory", "512M", "--display", "none", "--serial", "none", "--clock", "fixed", *kernel()]


def options(doc):
    """A parser that knows --calque."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--calque", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../build/calque"))
    return parser
