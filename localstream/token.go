package localstream

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// tokenLife is how long iterators and next tokens are good for, as in AWS.
const tokenLife = 5 * time.Minute

// secretBytes is the length of the secret behind the tokens of a server. It is
// made once for a data directory, so tokens outlive a restart.
const secretBytes = 32

// The first eight bytes of an iterator of AWS.
const tokenPrefix = "\x00\x00\x00\x00\x00\x00\x00\x01"

// errToken is a token that this server did not make.
var errToken = errors.New("invalid token")

// sealer makes opaque texts of small payloads and reads them back: prefix,
// random IV, AES-CBC of the payload, HMAC-SHA-256 of all that. Nobody else can
// make one or tell what is in it.
type sealer struct {
	block  cipher.Block
	macKey []byte
}

func newSealer(secret []byte) (*sealer, error) {
	derive := func(use string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(use))
		return m.Sum(nil)
	}
	block, err := aes.NewCipher(derive("encrypt"))
	if err != nil {
		return nil, fmt.Errorf("token cipher: %w", err)
	}
	return &sealer{block: block, macKey: derive("authenticate")}, nil
}

// tokenKind keeps tokens of one use from being good for another.
type tokenKind byte

const (
	kindIterator tokenKind = iota + 1
	kindShards
	kindStreams
	kindChannels
	kindConsumers
)

// tokenHead is what every payload starts with: its length, kind and time.
const tokenHead = 2 + 1 + 8

// seal makes a text of the payload. Texts of equal payloads differ.
//
// Iterators of AWS have the length 152 + 16 n, in bytes before base64 or after
// it, depending on who tells it; both hold here.
func (s *sealer) seal(kind tokenKind, payload []byte, now time.Time) string {
	size := tokenHead + len(payload)
	blocks := 8
	for blocks*aes.BlockSize < size {
		blocks += 3
	}
	body := make([]byte, blocks*aes.BlockSize)
	binary.BigEndian.PutUint16(body, uint16(len(payload)))
	body[2] = byte(kind)
	binary.BigEndian.PutUint64(body[3:], uint64(now.UnixMilli()))
	copy(body[tokenHead:], payload)

	out := make([]byte, 0, len(tokenPrefix)+aes.BlockSize+len(body)+sha256.Size)
	out = append(out, tokenPrefix...)
	iv := out[len(out) : len(out)+aes.BlockSize]
	rand.Read(iv) // never fails
	out = append(out[:len(out)+aes.BlockSize], body...)
	sealed := out[len(out)-len(body):]
	cipher.NewCBCEncrypter(s.block, iv).CryptBlocks(sealed, sealed)
	return base64.StdEncoding.EncodeToString(s.mac(out, out))
}

func (s *sealer) mac(dst, text []byte) []byte {
	m := hmac.New(sha256.New, s.macKey)
	m.Write(text)
	return m.Sum(dst)
}

// open gives the payload of a text that seal made, and when.
func (s *sealer) open(kind tokenKind, text string) (payload []byte, made time.Time, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, made, errToken
	}
	const least = len(tokenPrefix) + 2*aes.BlockSize + sha256.Size
	if len(b) < least || (len(b)-least)%aes.BlockSize != 0 || string(b[:len(tokenPrefix)]) != tokenPrefix {
		return nil, made, errToken
	}
	signed, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(sum, s.mac(nil, signed)) {
		return nil, made, errToken
	}
	body := signed[len(tokenPrefix):]
	iv, body := body[:aes.BlockSize], body[aes.BlockSize:]
	cipher.NewCBCDecrypter(s.block, iv).CryptBlocks(body, body)
	n := int(binary.BigEndian.Uint16(body))
	if body[2] != byte(kind) || tokenHead+n > len(body) {
		return nil, made, errToken
	}
	made = time.UnixMilli(int64(binary.BigEndian.Uint64(body[3:])))
	return body[tokenHead : tokenHead+n], made, nil
}
