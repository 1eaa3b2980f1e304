import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';

// Loaded when the first certificate is made: starting up must not cost what is not used.
const load = async () => ({ asn1: await import('asn1js'), pki: await import('pkijs') });

/** A certificate and its private key, both as PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

const dayMs = 86_400_000;
/** How long an authority is good for. */
const authorityDays = 3_650;
/** How long a certificate of one is. */
const leafDays = 30;
/** Clocks differ: all are good from a day before. */
const backdatedDays = 1;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const hash = 'SHA-256';

const oids = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** The bits of KeyUsage (RFC 5280, 4.2.1.3), the first one highest. */
const keyUsages = { digitalSignature: 0x80, keyCertSign: 0x04 } as const;
/** The tag of a DNS name in a GeneralName (RFC 5280, 4.2.1.6). */
const dnsName = 2;

/** A new authority: EC P-256, for servers' certificates and nothing below it. `name` tells people whose it is. */
export async function newAuthority(name: string, now: number): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return await sign({
    subject: name,
    issuer: null,
    now,
    days: authorityDays,
    publicKey: keys.publicKey,
    privateKey: keys.privateKey,
    signingKey: keys.privateKey,
    signerKey: keys.publicKey,
    dns: null,
  });
}

/** A certificate of the authority for one host, with a key of its own. */
export async function newLeaf(authority: KeyPair, host: string, now: number): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(authority.privateKey).export({ type: 'pkcs8', format: 'der' }),
    algorithm,
    false,
    ['sign'],
  );
  const signerKey = await webcrypto.subtle.importKey(
    'spki',
    issuer.publicKey.export({ type: 'spki', format: 'der' }),
    algorithm,
    true,
    ['verify'],
  );
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return await sign({
    subject: null,
    issuer,
    now,
    days: leafDays,
    publicKey: keys.publicKey,
    privateKey: keys.privateKey,
    signingKey,
    signerKey,
    dns: host,
  });
}

/** Until when the certificate is good, in milliseconds since the epoch. */
export function goodUntil({ certificate }: Pick<KeyPair, 'certificate'>): number {
  return new X509Certificate(certificate).validToDate.getTime();
}

interface Signing {
  /** Null: the names say it (RFC 5280, 4.1.2.6). */
  readonly subject: string | null;
  /** Null: itself. */
  readonly issuer: X509Certificate | null;
  readonly now: number;
  readonly days: number;
  readonly publicKey: webcrypto.CryptoKey;
  readonly privateKey: webcrypto.CryptoKey;
  readonly signingKey: webcrypto.CryptoKey;
  readonly signerKey: webcrypto.CryptoKey;
  /** Null: it is an authority's. */
  readonly dns: string | null;
}

async function sign(options: Signing): Promise<KeyPair> {
  const { subject, issuer, now, days, publicKey, privateKey, signingKey, signerKey, dns } = options;
  const { asn1, pki } = await load();
  const certificate = new pki.Certificate();
  certificate.version = 2; // v3
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, of one length
  certificate.serialNumber = new asn1.Integer({ valueHex: Uint8Array.from(serial).buffer });
  const named = (name: string) =>
    new pki.AttributeTypeAndValue({ type: oids.commonName, value: new asn1.Utf8String({ value: name }) });
  if (subject !== null) certificate.subject.typesAndValues.push(named(subject));
  // As it is spelled there, byte by byte.
  certificate.issuer =
    issuer === null ? certificate.subject : pki.Certificate.fromBER(Uint8Array.from(issuer.raw).buffer).subject;
  certificate.notBefore.value = new Date(now - backdatedDays * dayMs);
  certificate.notAfter.value = new Date(now + days * dayMs);
  const usage = dns === null ? keyUsages.keyCertSign : keyUsages.digitalSignature;
  const extension = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }) =>
    new pki.Extension({ extnID, critical, extnValue: value.toBER() });
  const basic =
    dns === null
      ? new pki.BasicConstraints({ cA: true, pathLenConstraint: 0 })
      : new pki.BasicConstraints({ cA: false });
  const bits = new asn1.BitString({ valueHex: Uint8Array.of(usage).buffer, unusedBits: usage === 0x80 ? 7 : 2 });
  certificate.extensions = [
    extension(oids.basicConstraints, true, basic.toSchema()),
    extension(oids.keyUsage, true, bits),
    extension(oids.subjectKeyIdentifier, false, new asn1.OctetString({ valueHex: await keyIdentifier(publicKey) })),
    extension(
      oids.authorityKeyIdentifier,
      false,
      new pki.AuthorityKeyIdentifier({
        keyIdentifier: new asn1.OctetString({ valueHex: await keyIdentifier(signerKey) }),
      }).toSchema(),
    ),
  ];
  if (dns !== null) {
    const names = new pki.GeneralNames({ names: [new pki.GeneralName({ type: dnsName, value: dns })] });
    certificate.extensions.push(
      extension(oids.extendedKeyUsage, false, new pki.ExtKeyUsage({ keyPurposes: [oids.serverAuth] }).toSchema()),
      extension(oids.subjectAltName, subject === null, names.toSchema()),
    );
  }
  await certificate.subjectPublicKeyInfo.importKey(publicKey);
  await certificate.sign(signingKey, hash);
  const key = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return {
    certificate: new X509Certificate(Buffer.from(certificate.toSchema(true).toBER())).toString(),
    privateKey: createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' })
      .export({ type: 'pkcs8', format: 'pem' })
      .toString(),
  };
}

/** RFC 7093, 2: the first 160 bits of the SHA-256 of the public key. */
async function keyIdentifier(publicKey: webcrypto.CryptoKey): Promise<ArrayBuffer> {
  const point = await webcrypto.subtle.exportKey('raw', publicKey);
  return (await webcrypto.subtle.digest(hash, point)).slice(0, 20);
}
