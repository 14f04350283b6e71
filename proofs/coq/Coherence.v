(** Growth of a residual stack of mean coherence ρ: (1 + 2ρa + a²)^L with a = (3L)^(−1/2).

    It is Θ(1) if and only if ρ = O(L^(−1/2)). *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import SkipPath.
Open Scope R_scope.

Definition growth (rho : R) (L : nat) : R := (1 + 2 * rho * strength L + strength L ^ 2) ^ L.

(** Mean over the 2^p signs of x · Π (1 + a (ρ ± e))², where e² = 1 − ρ². *)
Fixpoint mean_square_of (p : nat) (a rho e x : R) : R :=
  match p with
  | O => x
  | S p' => (mean_square_of p' a rho e (x * (1 + a * (rho + e)) ^ 2)
             + mean_square_of p' a rho e (x * (1 + a * (rho - e)) ^ 2)) / 2
  end.

Theorem growth_is_mean_square : forall p a rho e x, e ^ 2 = 1 - rho ^ 2 ->
  mean_square_of p a rho e x = x * (1 + 2 * rho * a + a ^ 2) ^ p.
Proof.
  induction p; intros a rho e x He; [simpl; ring|]. cbn [mean_square_of].
  rewrite !IHp by assumption. set (b := (1 + 2 * rho * a + a ^ 2)) at 3.
  change (b ^ S p) with (b * b ^ p). unfold b.
  replace (x * (1 + a * (rho + e)) ^ 2) with
    (x * (1 + 2 * rho * a + a ^ 2 * (rho ^ 2 + e ^ 2) + 2 * a * e * (1 + a * rho))) by ring.
  replace (x * (1 + a * (rho - e)) ^ 2) with
    (x * (1 + 2 * rho * a + a ^ 2 * (rho ^ 2 + e ^ 2) - 2 * a * e * (1 + a * rho))) by ring.
  rewrite He. field.
Qed.

Section OneDepth.
Variables (rho : R) (L : nat).
Hypothesis HL : (1 <= L)%nat.
Hypothesis Hrho : -1 <= rho <= 1.
Let a := strength L.
Let u := 2 * rho * a + a ^ 2.

Let Hroot : 0 < sqrt (INR L).
Proof. apply sqrt_lt_R0, lt_0_INR; lia. Qed.

Lemma strength_at_most : 0 < a <= 0.58.
Proof.
  destruct (strength_square L HL) as [Hp Hs]. fold a in Hp, Hs. split; [assumption|].
  assert (H1 : 1 <= INR L) by (change 1 with (INR 1); now apply le_INR).
  assert (/ (3 * INR L) <= / 3) by (apply Rinv_le_contravar; lra). nra.
Qed.

Lemma base_bounds : 0.17 <= 1 + u <= 2.5.
Proof. destruct strength_at_most. unfold u. split; nra. Qed.

(** L u = (2/√3) ρ√L + 1/3. *)
Lemma exponent : INR L * u = 2 * / sqrt 3 * (rho * sqrt (INR L)) + 1 / 3.
Proof.
  destruct (strength_square L HL) as [Hp Hs]. fold a in Hp, Hs.
  assert (H : 0 < INR L) by (apply lt_0_INR; lia).
  assert (H3 : 0 < sqrt 3) by (apply sqrt_lt_R0; lra).
  unfold u. rewrite Hs. unfold a, strength. rewrite sqrt_mult by lra.
  rewrite <- (sqrt_sqrt (INR L)) at 1 3 by lra. set (r := sqrt (INR L)) in *. field. lra.
Qed.

Lemma root3 : 0.5 <= / sqrt 3 <= 1.
Proof.
  assert (H : 1 <= sqrt 3 <= 2).
  { split; [rewrite <- sqrt_1; apply sqrt_le_1; lra|].
    rewrite <- (sqrt_pow2 2) by lra. apply sqrt_le_1; lra. }
  split; [replace 0.5 with (/ 2) by lra; apply Rinv_le_contravar; lra|].
  rewrite <- Rinv_1. apply Rinv_le_contravar; lra.
Qed.

Lemma growth_bounds :
  exp (INR L * (u / (1 + u))) <= growth rho L <= exp (INR L * u).
Proof.
  pose proof base_bounds. assert (H0 : 0 <= INR L) by apply pos_INR.
  assert (E : growth rho L = exp (INR L * ln (1 + u))).
  { unfold growth. fold a. rewrite <- power_as_exp by lra. unfold u. f_equal. ring. }
  rewrite E. destruct (log_bounds u) as [Hl Hh]; [lra|].
  split; apply exp_increasing_le; now apply Rmult_le_compat_l.
Qed.

Lemma growth_from_coherence : forall b, Rabs (rho * sqrt (INR L)) <= b ->
  exp (- 6 * (2 * b + 1)) <= growth rho L <= exp (2 * b + 1).
Proof.
  intros b Hb. destruct growth_bounds as [Gl Gh]. pose proof base_bounds.
  pose proof root3 as [R0 R1]. pose proof exponent as E. apply Rabs_le_between in Hb.
  set (z := rho * sqrt (INR L)) in *. set (i := / sqrt 3) in *.
  assert (0 <= b) by lra.
  assert (B1 : - (2 * b + 1) <= INR L * u <= 2 * b + 1) by (rewrite E; split; nra).
  split.
  - eapply Rle_trans; [|exact Gl]. apply exp_increasing_le.
    replace (INR L * (u / (1 + u))) with ((INR L * u) * / (1 + u)) by (field; lra).
    assert (I : 0 < / (1 + u) <= 6).
    { split; [apply Rinv_0_lt_compat; lra|]. replace 6 with (/ (/ 6)) by field.
      apply Rinv_le_contravar; lra. }
    set (t := INR L * u) in *. set (j := / (1 + u)) in *. nra.
  - eapply Rle_trans; [exact Gh|]. apply exp_increasing_le. lra.
Qed.

Lemma coherence_from_growth : forall c C, 0 < c -> c <= growth rho L <= C ->
  Rabs (rho * sqrt (INR L)) <= Rabs (ln c) + 3 * Rabs (ln C) + 1.
Proof.
  intros c C Hc [H1 H2]. destruct growth_bounds as [Gl Gh]. pose proof base_bounds as Hb.
  pose proof root3 as [R0 R1]. pose proof exponent as E.
  assert (L1 : ln c <= INR L * u).
  { rewrite <- (ln_exp (INR L * u)). apply ln_le; lra. }
  assert (L2 : INR L * (u / (1 + u)) <= ln C).
  { rewrite <- (ln_exp (INR L * (u / (1 + u)))). apply ln_le; [apply exp_pos|lra]. }
  set (t := INR L * u) in *.
  assert (L3 : t <= 3 * Rabs (ln C)).
  { pose proof (Rle_abs (ln C)).
    assert (t = INR L * (u / (1 + u)) * (1 + u)) by (unfold t; field; lra).
    set (s := INR L * (u / (1 + u))) in *. pose proof (Rabs_pos (ln C)).
    assert (s * (1 + u) <= Rabs (ln C) * (1 + u)) by (apply Rmult_le_compat_r; lra). nra. }
  pose proof (Rle_abs (- ln c)) as A1. rewrite Rabs_Ropp in A1.
  set (z := rho * sqrt (INR L)) in *. set (i := / sqrt 3) in *.
  assert (Hz : 2 * i * z = t - 1 / 3) by lra.
  pose proof (Rabs_pos (ln c)). pose proof (Rabs_pos (ln C)).
  apply Rabs_le. split; nra.
Qed.
End OneDepth.

(** Growth is Θ(1) in L if and only if ρ = O(L^(−1/2)). *)
Theorem coherence_threshold : forall rho : nat -> R, (forall L, -1 <= rho L <= 1) ->
  ((exists c C, 0 < c /\ forall L, (1 <= L)%nat -> c <= growth (rho L) L <= C)
   <-> (exists b, forall L, (1 <= L)%nat -> Rabs (rho L * sqrt (INR L)) <= b)).
Proof.
  intros rho Hr. split.
  - intros (c & C & Hc & H). exists (Rabs (ln c) + 3 * Rabs (ln C) + 1). intros L HL.
    apply coherence_from_growth; auto.
  - intros (b & H). exists (exp (- 6 * (2 * b + 1))), (exp (2 * b + 1)).
    split; [apply exp_pos|]. intros L HL. apply growth_from_coherence; auto.
Qed.
