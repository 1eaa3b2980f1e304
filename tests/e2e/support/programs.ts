/** Programs that ask for an address, each as a command of a shell that says what it was answered. */
export const programs = [
  ['curl', (address: string) => `curl -sS ${address}`],
  ['wget', (address: string) => `wget -q -O - ${address}`],
  ['fetch of Node', (address: string) => `node -e 'fetch("${address}").then((a) => a.text()).then(console.log)'`],
  [
    'https of Node',
    (address: string) =>
      `node -e 'require("https").get("${address}", (a) => a.pipe(process.stdout)).on("error", (e) => { throw e; })'`,
  ],
  [
    'urllib of Python',
    (address: string) => `python3 -c 'import urllib.request as u; print(u.urlopen("${address}").read().decode())'`,
  ],
  [
    'requests of Python, as pip carries it',
    (address: string) => `python3 -c 'from pip._vendor import requests; print(requests.get("${address}").text)'`,
  ],
] as const;
