"""The vault: what it seals opens with the same key for the same purpose, and for nothing else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from penlatch.errors import StoreError
from penlatch.store.vault import KEY_BYTES, NONCE_BYTES, Vault

KEY = bytes(range(KEY_BYTES))


def write_key(path: Path, *, key: bytes = KEY, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(key)
    path.chmod(mode)
    return path


class TestSealing:
    """What the vault does with bytes."""

    @given(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
    def test_what_was_sealed_opens_again(self, plain: bytes, context: str) -> None:
        vault = Vault(KEY)
        assert vault.open(vault.seal(plain, context=context), context=context) == plain

    def test_it_is_aes_256_gcm_with_the_context_as_associated_data(self) -> None:
        sealed = Vault(KEY).seal(b"secret", context="ada|reference|0|1")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        assert AESGCM(KEY).decrypt(nonce, ciphertext, b"ada|reference|0|1") == b"secret"

    def test_no_nonce_is_used_twice(self) -> None:
        vault = Vault(KEY)
        assert len({vault.seal(b"", context="")[: 1 + NONCE_BYTES] for _ in range(1000)}) == 1000

    @given(st.data())
    def test_one_altered_bit_is_enough_to_refuse_it(self, data: st.DataObject) -> None:
        sealed = bytearray(Vault(KEY).seal(b"secret", context="ada"))
        bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
        sealed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StoreError, match="altered"):
            Vault(KEY).open(bytes(sealed), context="ada")

    @given(st.binary(max_size=60))
    def test_rubbish_is_refused(self, rubbish: bytes) -> None:
        with pytest.raises(StoreError):
            Vault(KEY).open(rubbish, context="ada")

    def test_another_context_or_key_does_not_open_it(self) -> None:
        sealed = Vault(KEY).seal(b"secret", context="ada|reference|0|1")
        with pytest.raises(StoreError):
            Vault(KEY).open(sealed, context="bob|reference|0|1")
        with pytest.raises(StoreError):
            Vault(bytes(KEY_BYTES)).open(sealed, context="ada|reference|0|1")

    def test_neither_key_nor_secret_is_in_what_it_says_of_itself(self) -> None:
        vault = Vault(KEY)
        assert KEY.hex() not in repr(vault) + repr(vars(vault))
        with pytest.raises(StoreError) as caught:
            vault.open(vault.seal(b"secret", context="a"), context="b")
        assert "secret" not in str(caught.value)


class TestKey:
    """Where the key comes from, and which one is refused."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        return tmp_path / "penlatch.db"

    def test_a_configured_file_comes_first_then_the_credential_then_the_file_beside(self, database: Path) -> None:
        folder = database.parent
        named = write_key(folder / "named", key=b"n" * KEY_BYTES)
        credential = write_key(folder / "credentials" / "penlatch.key", key=b"c" * KEY_BYTES, mode=0o440)
        environment = {"CREDENTIALS_DIRECTORY": str(credential.parent)}
        assert Vault.load(database=database, key_file=named, environment=environment).source == named
        assert Vault.load(database=database, environment=environment).source == credential
        assert not (folder / "store.key").exists()
        assert Vault.load(database=database, environment={}).source == folder / "store.key"

    def test_credentials_without_a_key_of_ours_are_passed_over(self, database: Path) -> None:
        environment = {"CREDENTIALS_DIRECTORY": str(database.parent)}
        assert Vault.load(database=database, environment=environment).source == database.with_name("store.key")

    def test_a_key_is_made_once_private_and_random(self, database: Path, tmp_path: Path) -> None:
        made = Vault.load(database=database, environment={})
        key = database.with_name("store.key")
        assert key.stat().st_mode & 0o777 == 0o600
        assert len(key.read_bytes()) == KEY_BYTES
        assert [p.name for p in tmp_path.iterdir()] == ["store.key"]
        again = Vault.load(database=database, environment={})
        assert again.open(made.seal(b"secret", context=""), context="") == b"secret"
        other = tmp_path / "other"
        other.mkdir()
        Vault.load(database=other / "penlatch.db", environment={})
        assert (other / "store.key").read_bytes() != key.read_bytes()

    def test_two_first_starts_at_once_agree_on_one_key(self, database: Path) -> None:
        starts, vaults = 8, []
        gate = threading.Barrier(starts)

        def start() -> None:
            gate.wait()
            vaults.append(Vault.load(database=database, environment={}))

        threads = [threading.Thread(target=start) for _ in range(starts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sealed = vaults[0].seal(b"secret", context="")
        assert [vault.open(sealed, context="") for vault in vaults] == [b"secret"] * starts

    def test_a_key_that_is_gone_is_not_replaced(self, database: Path) -> None:
        database.write_bytes(b"not empty")
        with pytest.raises(StoreError, match="missing") as caught:
            Vault.load(database=database, environment={})
        assert caught.value.remedy is not None
        assert not database.with_name("store.key").exists()

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o620])
    def test_a_key_that_others_may_use_is_refused(self, tmp_path: Path, database: Path, mode: int) -> None:
        key = write_key(tmp_path / "named", mode=mode)
        with pytest.raises(StoreError, match=f"mode {mode:04o}.*chmod 600"):
            Vault.load(database=database, key_file=key)

    def test_a_credential_open_to_the_world_is_refused(self, tmp_path: Path, database: Path) -> None:
        write_key(tmp_path / "penlatch.key", mode=0o444)
        with pytest.raises(StoreError, match="others may read"):
            Vault.load(database=database, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})

    @pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
    def test_a_key_of_another_length_is_refused_and_left_alone(
        self, tmp_path: Path, database: Path, length: int
    ) -> None:
        key = write_key(tmp_path / "store.key", key=bytes(length))
        with pytest.raises(StoreError, match="32 bytes"):
            Vault.load(database=database, environment={})
        assert key.read_bytes() == bytes(length)

    def test_a_named_key_that_is_not_there_is_refused_and_not_made(self, tmp_path: Path, database: Path) -> None:
        with pytest.raises(StoreError, match="No such file"):
            Vault.load(database=database, key_file=tmp_path / "absent")
        assert not (tmp_path / "absent").exists()

    def test_a_folder_that_is_not_there_is_said_to_be_so(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="folder must exist"):
            Vault.load(database=tmp_path / "absent" / "penlatch.db", environment={})

    @pytest.mark.parametrize("plant", ["a link", "a link to nowhere", "a pipe", "a folder"])
    def test_only_a_regular_file_is_the_key_beside_the_database(
        self, tmp_path: Path, database: Path, plant: str
    ) -> None:
        elsewhere = write_key(tmp_path / "elsewhere")
        beside = database.with_name("store.key")
        match plant:
            case "a pipe":
                os.mkfifo(beside)
            case "a folder":
                beside.mkdir()
            case _:
                beside.symlink_to(elsewhere if plant == "a link" else tmp_path / "nowhere")
        with pytest.raises(StoreError, match="the key cannot be read"):
            Vault.load(database=database, environment={})
        assert not (tmp_path / "nowhere").exists()

    def test_a_key_that_an_operator_named_may_be_a_link(self, tmp_path: Path, database: Path) -> None:
        named = tmp_path / "named"
        named.symlink_to(write_key(tmp_path / "elsewhere"))
        assert Vault.load(database=database, key_file=named).source == named

    def test_a_folder_that_may_not_be_searched_is_not_a_missing_key(
        self, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "lstat", refuse)
        with pytest.raises(StoreError, match=r"cannot be reached.*as root"):
            Vault.load(database=database, environment={})
